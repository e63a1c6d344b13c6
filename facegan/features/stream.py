"""Vectors of many images, read in batches that ranks share."""

from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

BATCH = 64  # images per batch and rank

Images = Callable[[np.ndarray], Tensor]  # numbers (N,) to images in [-1, 1] (N, C, H, W)
RawImages = Callable[[np.ndarray], Tensor]  # numbers (N,) to uint8 images (N, C, H, W)
Reader = Callable[[Tensor], Tensor]  # images in [-1, 1] (N, C, H, W) to vectors (N, d)


@dataclass(frozen=True)
class Ranks:
    """The ranks that share the reading; ``gather`` stacks one tensor per rank to (world, ...)."""

    rank: int
    world: int
    gather: Callable[[Tensor], Tensor]


def stream(
    read: Reader,
    images_of: Images,
    rows: np.ndarray,
    ranks: Ranks | None = None,
) -> Iterator[Tensor]:
    """Yield the vectors of ``images_of(rows)`` in chunks, in the order of ``rows``.

    With ``ranks``, each rank reads its part of a chunk and all receive the whole chunk, so every
    rank must consume the whole stream.
    """
    rank, world = (ranks.rank, ranks.world) if ranks else (0, 1)
    for start in range(0, len(rows), BATCH * world):
        block = rows[start : start + BATCH * world]
        mine = block[rank * BATCH : (rank + 1) * BATCH]
        if ranks is None or world == 1:
            yield read(images_of(mine))
            continue
        padded = np.resize(mine if len(mine) else block, BATCH)  # all_gather needs equal shapes
        vectors = ranks.gather(read(images_of(padded)).clone()).flatten(0, 1)
        yield vectors[: len(block)]


def with_progress(
    chunks: Iterator[Tensor], rows: Sized, title: str, quiet: bool = False
) -> Iterator[Tensor]:
    """The chunks of :func:`stream` with a progress bar, if on a terminal and not ``quiet``."""
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
    """The vectors of :func:`stream` as one tensor (len(rows), d) on the CPU."""
    vectors: Tensor | None = None
    done = 0
    for chunk in with_progress(stream(read, images_of, rows, ranks), rows, title, quiet):
        if vectors is None:  # allocated once: concatenating chunks would need twice the memory
            vectors = torch.empty(len(rows), *chunk.shape[1:], dtype=chunk.dtype)
        vectors[done : done + len(chunk)] = chunk
        done += len(chunk)
    if vectors is None:
        raise ValueError("There are no images to read.")
    return vectors
