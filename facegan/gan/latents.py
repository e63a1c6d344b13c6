"""Latents z ~ N(0, 1), drawn so that picture number i of a seed is always the same picture."""

import torch
from torch import Tensor

from facegan.errors import expect_int, expect_number
from facegan.seeds import mix_seed

BLOCK = 64  # latents are seeded in blocks of this many


def sample_latents(
    count: int, latent_dim: int, seed: int, start: int = 0, truncation: float | None = None
) -> Tensor:
    """Latents number ``start`` to ``start + count`` of a seed: float32 (count, latent_dim), on CPU.

    Row i depends on ``seed`` and i only, not on how many are drawn at a time. ``truncation`` t
    draws from the normal distribution cut to [-t, t] instead (Brock et al. 2019): smaller is
    more typical and less varied.
    """
    expect_int("n", count, at_least=1)
    if truncation is not None:
        expect_number("truncation", truncation, low=0.01)
    first, last = start // BLOCK, (start + count - 1) // BLOCK
    blocks = []
    for number in range(first, last + 1):
        # Two different (seed, number) pairs must not share a stream: hash both into one seed.
        generator = torch.Generator().manual_seed(mix_seed(seed, number))
        block = torch.empty(BLOCK, latent_dim)
        if truncation is None:
            block.normal_(generator=generator)
        else:
            torch.nn.init.trunc_normal_(block, a=-truncation, b=truncation, generator=generator)
        blocks.append(block)
    offset = start - first * BLOCK
    return torch.cat(blocks)[offset : offset + count]
