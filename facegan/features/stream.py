"""Vectors of many images, read in batches and shared among ranks."""

from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

BATCH = 64  # images read at a time

Reader = Callable[[Tensor], Tensor]  # images in [-1, 1] (N, C, H, W) to vectors (N, d)
Images = Callable[[np.ndarray], Tensor]  # numbers of images to images in [-1, 1]


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
