"""PCA of standardised vectors, fitted on a bounded number of rows."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from facegan.errors import expect

FIT_ROWS = 4096  # 250 MB of DCGAN's 15,360 features at 64 px


@dataclass(frozen=True)
class Reduction:
    """Vectors (N, d) to points (N, c): standardised, projected on c principal components.

    ``points = (vectors - mean) @ matrix``; with d and c at least 1.
    """

    mean: Tensor  # (d,)
    matrix: Tensor  # (d, c)

    def __call__(self, vectors: Tensor) -> Tensor:
        return (vectors.to(self.mean) - self.mean) @ self.matrix


def fit_reduction(
    vectors: Tensor, components: int, whiten: bool = True, seed: int = 0
) -> tuple[Reduction, Tensor]:
    """PCA of standardised ``vectors`` (N, d) float32 on a CPU, which are overwritten.

    Returns the reduction and the points (N, c) it makes of these vectors.

    At most ``components`` directions are kept, and only those that the vectors vary in (of
    vectors that are all the same: one, in which every point is 0). ``whiten``: each has variance
    1. Randomised (Halko et al. 2011) and reproducible; the global random state is left alone.
    """
    count, size = vectors.shape
    expect(bool(vectors.isfinite().all()), "There are non-finite features: nothing can be read.")
    mean = vectors.mean(0)
    vectors -= mean
    deviation = vectors.square().mean(0).sqrt()
    # A feature that never changes says nothing, whatever rounding makes of it.
    alive = deviation > 1e-6 * (1 + mean.abs())
    scale = torch.where(alive, 1 / deviation.clamp_min(1e-12), 0.0)
    vectors *= scale
    rank = max(1, min(components, count - 1, size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        extra = min(rank + 10, count, size)  # directions more than needed make these accurate
        _, singular, directions = torch.svd_lowrank(vectors, q=extra, niter=3)
    singular, directions = singular[:rank], directions[:, :rank]
    kept = singular > 1e-4 * singular[0]
    if not kept.any() or not alive.any():
        return Reduction(mean, torch.zeros(size, 1)), torch.zeros(count, 1)
    singular, directions = singular[kept], directions[:, kept]
    if whiten:
        directions = directions * (max(1, count - 1) ** 0.5 / singular)
    return Reduction(mean, scale[:, None] * directions), vectors @ directions


def reduce(
    chunks: Iterable[Tensor],
    count: int,
    components: int,
    whiten: bool = True,
    seed: int = 0,
    fit_rows: int = FIT_ROWS,
) -> tuple[Reduction, Tensor]:
    """Fit a reduction to the first rows of a stream of vectors and reduce all ``count`` of them.

    Returns it with the points (count, c), on the CPU. Never more than ``fit_rows`` vectors are
    held at a time.
    """
    fit_rows = min(fit_rows, count)
    held: Tensor | None = None
    filled = 0
    points: Tensor | None = None  # whole from the start: small pieces would fragment the heap
    done = 0
    reduction: Reduction | None = None
    for chunk in chunks:
        chunk = chunk.to("cpu", torch.float32)
        if reduction is None:
            if held is None:
                held = torch.empty(fit_rows, chunk.shape[1])
            take = min(len(chunk), fit_rows - filled)
            held[filled : filled + take] = chunk[:take]
            filled += take
            chunk = chunk[take:]
            if filled == fit_rows:
                reduction, first = fit_reduction(held, components, whiten, seed)
                points = torch.empty(count, first.shape[1])
                points[: len(first)] = first
                done, held = len(first), None
        if reduction is not None and points is not None and len(chunk):
            points[done : done + len(chunk)] = reduction(chunk)
            done += len(chunk)
    assert reduction is not None, "fewer rows came than were announced"
    assert points is not None
    return reduction, points
