"""What a network sees in images, as vectors: features of D, standardised and reduced by PCA.

Memory stays bounded however many images there are: the reduction is measured on the first
``FIT_ROWS`` of them (so hand them over in random order) and applied to the rest as they come.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from facegan import ema
from facegan.errors import expect, expect_one_of

SPACES = ("features", "pixels")
BATCH = 64  # images read at a time
FIT_ROWS = 4096  # 250 MB of DCGAN's 15,360 features at 64 px

CALIBRATION_IMAGES = 1024  # to measure BatchNorm statistics with

Reader = Callable[[Tensor], Tensor]  # images in [-1, 1] (N, C, H, W) to vectors (N, d)
Images = Callable[[np.ndarray], Tensor]  # numbers of images to images in [-1, 1]


def calibrated(discriminator: nn.Module, images_of: Images, rows: np.ndarray) -> nn.Module:
    """A frozen copy of D whose BatchNorm statistics are measured on the first of real images.

    While training they average over real and generated images alike; the paper's authors, too,
    measured them anew before they read features. D itself is left as it is.
    """
    network = deepcopy(discriminator).requires_grad_(False).eval()
    known = rows[:CALIBRATION_IMAGES]
    parts = np.array_split(known, -(-len(known) // BATCH))
    ema.recalibrate_batch_norm(network, (images_of(part) for part in parts))
    return network


def statistics(network: nn.Module) -> dict[str, np.ndarray]:
    """The BatchNorm statistics that :func:`calibrated` measured, to be saved."""
    return {name: value.cpu().numpy() for name, value in network.named_buffers()}


def with_statistics(discriminator: nn.Module, measured: Mapping[str, np.ndarray]) -> nn.Module:
    """A frozen copy of D with :func:`statistics` measured before."""
    network = deepcopy(discriminator).requires_grad_(False).eval()
    for name, value in network.named_buffers():
        value.copy_(torch.from_numpy(measured[name]))
    return network


def reader(
    space: str, discriminator: nn.Module | None = None, layers: Sequence[int] | None = None
) -> Reader:
    """The function from images to vectors (N, d), float32.

    ``features``: those of ``discriminator`` (only of its ``layers``, counted from 1 at the image,
    if given); ``pixels``: the values of the image itself.
    """
    expect_one_of("space", space, SPACES)
    if space == "pixels":
        return lambda images: images.flatten(1)
    assert discriminator is not None
    chosen = None if layers is None else _valid_layers(layers, len(discriminator.layers))  # type: ignore[arg-type]

    @torch.inference_mode()
    def read(images: Tensor) -> Tensor:
        return discriminator.forward_features(images, chosen)  # type: ignore[operator]

    return read


def _valid_layers(layers: Sequence[int], count: int) -> list[int]:
    listed = isinstance(layers, Sequence) and not isinstance(layers, str) and len(layers) > 0
    expect(
        listed and all(type(layer) is int and 1 <= layer <= count for layer in layers),
        f"layers must be a list of D's layers, numbered 1 (at the image) to {count}, like "
        f"[{max(1, count - 1)},{count}]; not {layers!r}.",
    )
    return sorted(set(layers))


@dataclass(frozen=True)
class Ranks:
    """The processes that share the work: ``gather`` stacks a tensor of each to (world, ...)."""

    rank: int
    world: int
    gather: Callable[[Tensor], Tensor]


def stream(
    read: Reader,
    images_of: Images,
    rows: np.ndarray,
    ranks: Ranks | None = None,
) -> Iterator[Tensor]:
    """The vectors of ``images_of(rows)``, some batches at a time, in the order of ``rows``.

    With ``ranks``, each reads its part of every batch, and all get all of it: every process has
    to go through the whole stream.
    """
    rank, world = (ranks.rank, ranks.world) if ranks else (0, 1)
    for start in range(0, len(rows), BATCH * world):
        block = rows[start : start + BATCH * world]
        mine = block[rank * BATCH : (rank + 1) * BATCH]
        if ranks is None or world == 1:
            yield read(images_of(mine))
            continue
        padded = np.resize(mine if len(mine) else block, BATCH)  # all must hand in as much
        vectors = ranks.gather(read(images_of(padded)).clone()).flatten(0, 1)
        yield vectors[: len(block)]


def with_progress(
    chunks: Iterator[Tensor], rows: Sized, title: str, quiet: bool = False
) -> Iterator[Tensor]:
    """:func:`stream` of ``rows``, with a bar where there is a terminal, unless ``quiet``."""
    with tqdm(
        total=len(rows), desc=title, unit="img", leave=False, disable=True if quiet else None
    ) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(chunk))


def read_all(
    read: Reader,
    images_of: Images,
    rows: np.ndarray,
    title: str,
    ranks: Ranks | None = None,
    quiet: bool = False,
) -> Tensor:
    """All the vectors (len(rows), d) of :func:`stream`, on the CPU, with a progress bar."""
    whole: Tensor | None = None  # from the first chunk on: joining chunks would take twice as much
    done = 0
    for chunk in with_progress(stream(read, images_of, rows, ranks), rows, title, quiet):
        if whole is None:
            whole = torch.empty(len(rows), *chunk.shape[1:], dtype=chunk.dtype)
        whole[done : done + len(chunk)] = chunk
        done += len(chunk)
    assert whole is not None, "there are no images to read"
    return whole


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
