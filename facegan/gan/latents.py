"""Latents z ~ N(0, 1), drawn so that picture number i of a seed is always the same picture."""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from facegan.seeds import mix_seed
from facegan.settings import Count, checked

STREAM_LENGTH = 64  # latents drawn from one random stream


def sample_latents(
    count: int, latent_dim: int, seed: int, start: int = 0, truncation: float | None = None
) -> Tensor:
    """Latents number ``start`` to ``start + count`` of a seed: float32 (count, latent_dim), on CPU.

    Row i depends on ``seed`` and i only, not on how many are drawn at a time.

    Args:
        count: at least 1.
        truncation: draw from the normal distribution cut to [-t, t] (Brock et al. 2019), t at
            least 0.01: smaller is more typical and less varied.

    Raises:
        InputError: for a value out of range.
    """
    checked("n", count, Count)
    if truncation is not None:
        checked("truncation", truncation, Annotated[float, Field(ge=0.01, allow_inf_nan=False)])

    def block(number: int) -> Tensor:
        # Different (seed, number) pairs must not share a stream: both are mixed into one seed.
        generator = torch.Generator().manual_seed(mix_seed(seed, number))
        latents = torch.empty(STREAM_LENGTH, latent_dim)
        if truncation is None:
            return latents.normal_(generator=generator)
        torch.nn.init.trunc_normal_(latents, a=-truncation, b=truncation, generator=generator)
        return latents

    return rows_of_blocks(block, count, start)


def rows_of_blocks(block: Callable[[int], Tensor], count: int, start: int) -> Tensor:
    """Rows ``start`` to ``start + count`` of the blocks number 0, 1 and so on, one after the other.

    ``block(number)`` has STREAM_LENGTH rows; only those needed are called for.
    """
    first, last = start // STREAM_LENGTH, (start + count - 1) // STREAM_LENGTH
    blocks = torch.cat([block(number) for number in range(first, last + 1)])
    offset = start - first * STREAM_LENGTH
    return blocks[offset : offset + count]
