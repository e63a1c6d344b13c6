"""PCA of standardised vectors, fitted on a bounded number of rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from facegan.errors import InputError

FIT_ROWS = 4096  # 250 MB of DCGAN's 15,360 features at 64 px
EXACT_BELOW = 8  # vectors per component: with more of them, the randomised way is faster
SMALLEST = 1e-3  # singular value to keep, as a part of the largest: float32 cannot tell less


@dataclass(frozen=True)
class Reduction:
    """Standardise vectors (N, d) and project them onto c principal components: points (N, c).

    ``points = (vectors - mean) @ matrix``; d and c are at least 1.
    """

    mean: Tensor  # (d,)
    matrix: Tensor  # (d, c)

    def __call__(self, vectors: Tensor) -> Tensor:
        return (vectors.to(self.mean) - self.mean) @ self.matrix


def fit_reduction(
    vectors: Tensor, components: int, whiten: bool = True, seed: int = 0
) -> tuple[Reduction, Tensor]:
    """PCA of standardised ``vectors`` (N, d), float32 on the CPU; they are overwritten.

    Returns the reduction and the points (N, c) of these vectors. c is at most ``components``:
    only directions in which the vectors vary are kept (if all vectors are equal: one, with every
    point at 0). ``whiten``: each component has variance 1. Randomised (Halko et al. 2011) where
    few components of many vectors are wanted; reproducible, and the global random state does not
    change.

    Raises InputError if a vector is not finite.
    """
    count, size = vectors.shape
    if not vectors.isfinite().all():
        raise InputError("There are non-finite features: they cannot be used.")
    mean = vectors.mean(0)
    vectors -= mean
    deviation = vectors.square().mean(0).sqrt()
    # A constant feature carries no information, whatever rounding makes of its deviation.
    alive = deviation > 1e-6 * (1 + mean.abs())
    scale = torch.where(alive, 1 / deviation.clamp_min(1e-12), 0.0)
    vectors *= scale
    rank = max(1, min(components, count - 1, size))
    decompose = _exact if count <= EXACT_BELOW * rank else partial(_randomised, seed=seed)
    singular, directions = decompose(vectors, rank)
    kept = singular > SMALLEST * singular[0]
    if not kept.any() or not alive.any():
        return Reduction(mean, torch.zeros(size, 1)), torch.zeros(count, 1)
    singular, directions = singular[kept], directions[:, kept]
    if whiten:
        directions = directions * (max(1, count - 1) ** 0.5 / singular)
    return Reduction(mean, scale[:, None] * directions), vectors @ directions


def _randomised(vectors: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """The largest singular values (rank,) of (N, d) vectors, and their directions (d, rank)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        extra = min(rank + 10, *vectors.shape)  # directions more than needed make these accurate
        _, singular, directions = torch.svd_lowrank(vectors, q=extra, niter=3)
    return singular[:rank], directions[:, :rank]


def _exact(vectors: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The same from the N x N products of the vectors, faster where directions are many."""
    squared, left = torch.linalg.eigh(vectors @ vectors.T)
    singular, left = squared[-rank:].flip(0).clamp_min(0).sqrt(), left[:, -rank:].flip(1)
    return singular, vectors.T @ (left / singular.clamp_min(1e-12))


def reduce(
    chunks: Iterable[Tensor],
    count: int,
    components: int,
    whiten: bool = True,
    seed: int = 0,
    fit_rows: int = FIT_ROWS,
) -> tuple[Reduction, Tensor]:
    """Fit a reduction on the first rows of a stream of vectors and reduce all ``count`` of them.

    Returns the reduction and the points (count, c) on the CPU. At most ``fit_rows`` vectors are
    held in memory at a time. Raises ValueError if the stream has fewer than ``count`` rows.
    """
    vectors = (chunk.to("cpu", torch.float32) for chunk in chunks)
    first, rest = _first_rows(vectors, min(fit_rows, count))
    reduction, fitted = fit_reduction(first, components, whiten, seed)
    del first  # the largest tensor here
    points = torch.empty(count, fitted.shape[1])  # allocated once: appending fragments the heap
    done = len(fitted)
    points[:done] = fitted
    for chunk in chain([rest], vectors):
        points[done : done + len(chunk)] = reduction(chunk)
        done += len(chunk)
    if done < count:
        raise ValueError(f"The stream ended after {done} of {count} rows.")
    return reduction, points


def _first_rows(chunks: Iterator[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` rows of a stream, and what remains of the chunk they end in."""
    rows, filled = torch.empty(0), 0
    for chunk in chunks:
        if filled == 0:
            rows = torch.empty(count, chunk.shape[1])
        taken = chunk[: count - filled]
        rows[filled : filled + len(taken)] = taken
        filled += len(taken)
        if filled == count:
            return rows, chunk[len(taken) :]
    raise ValueError(f"The stream ended after {filled} of {count} rows.")
