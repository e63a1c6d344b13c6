"""Vectors of many images, read in batches that ranks share."""

from collections.abc import Callable, Iterator
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
    """The ranks that share the reading.

    Attributes:
        gather: stacks one tensor per rank to (world, ...).
        quiet: whether this rank shows no progress bar.
    """

    rank: int
    world: int
    gather: Callable[[Tensor], Tensor]
    quiet: bool = False


ALONE = Ranks(0, 1, lambda tensor: tensor[None])


def stream(
    read: Reader, images_of: Images, rows: np.ndarray, title: str, ranks: Ranks = ALONE
) -> Iterator[Tensor]:
    """Yield the vectors of ``images_of(rows)`` in chunks, in the order of ``rows``.

    Each rank reads its part of a chunk and all receive the whole chunk, so every rank must consume
    the whole stream. ``title``: of the progress bar, which is shown on terminals.
    """
    rank, world = ranks.rank, ranks.world
    hidden = True if ranks.quiet else None  # None: where there is no terminal
    with tqdm(total=len(rows), desc=title, unit="img", leave=False, disable=hidden) as bar:
        for start in range(0, len(rows), BATCH * world):
            block = rows[start : start + BATCH * world]
            own = block[rank * BATCH : (rank + 1) * BATCH]
            if world == 1:
                yield read(images_of(own))
            else:
                # all_gather needs equal shapes
                padded = np.resize(own if len(own) else block, BATCH)
                vectors = ranks.gather(read(images_of(padded)).clone()).flatten(0, 1)
                yield vectors[: len(block)]
            bar.update(len(block))


def read_all(
    read: Reader, images_of: Images, rows: np.ndarray, title: str, ranks: Ranks = ALONE
) -> Tensor:
    """The vectors of :func:`stream` as one tensor (len(rows), d) on the CPU."""
    vectors: Tensor | None = None
    done = 0
    for chunk in stream(read, images_of, rows, title, ranks):
        if vectors is None:  # allocated once: concatenating chunks would need twice the memory
            vectors = torch.empty(len(rows), *chunk.shape[1:], dtype=chunk.dtype)
        vectors[done : done + len(chunk)] = chunk
        done += len(chunk)
    if vectors is None:
        raise ValueError("There are no images to read.")
    return vectors
