"""Sliced Wasserstein distance of patches (Karras et al. 2018, arXiv:1710.10196, section 5).

It needs no network: images are taken apart into a Laplacian pyramid (Burt & Adelson 1983), and at
each of its levels small patches are compared along random directions. The paper's numbers are from
16,384 images of each kind: with fewer they are higher.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from facegan.quality.metrics.uncertainty import GROUPS, Estimate, group_numbers

PATCH, PER_IMAGE, DIRECTIONS, REPEATS = 7, 128, 128, 4
SMALLEST = 16  # pixels of the last level


def patches(level: Tensor, seed: int = 0) -> Tensor:
    """Descriptors (N * 128, C * 49) of one level (N, C, H, W) of the pyramid.

    The same seed takes the patches from the same places.
    """
    count, channels, _, size = level.shape
    generator = torch.Generator().manual_seed(seed)
    image = torch.arange(count).repeat_interleave(PER_IMAGE)
    top, left = torch.randint(0, size - PATCH + 1, (2, len(image)), generator=generator)
    steps = torch.arange(PATCH)
    rows = (top[:, None] + steps)[:, None, :, None]
    columns = (left[:, None] + steps)[:, None, None, :]
    channel = torch.arange(channels)[None, :, None, None]
    return level[image[:, None, None, None], channel, rows, columns].flatten(1)


def pyramid(images: Tensor) -> list[Tensor]:
    """The Laplacian pyramid from the images' size down to about 16 pixels."""
    levels = []
    while images.shape[-1] >= 2 * SMALLEST and images.shape[-1] % 2 == 0:
        smaller = _blur(images)[..., ::2, ::2]
        larger = torch.zeros_like(images)
        larger[..., ::2, ::2] = smaller
        levels.append(images - 4 * _blur(larger))
        images = smaller
    return [*levels, images]


def _blur(images: Tensor) -> Tensor:
    weights = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(weights, weights).expand(images.shape[1], 1, 5, 5)
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded, kernel, groups=images.shape[1])


def sliced_wasserstein(real: Tensor, generated: Tensor, seed: int = 0) -> Estimate:
    """The distance of equally many descriptors (N * 128, d) of each kind, times 1000 as published.

    Replicates leave a tenth out of the real images, too, to keep both kinds equally many.
    """
    images = min(len(real), len(generated)) // PER_IMAGE
    group = group_numbers(images).repeat_interleave(PER_IMAGE)
    real, generated = (_normalised(kind[: len(group)]) for kind in (real, generated))
    generator = torch.Generator().manual_seed(seed)
    distances, changes = [], torch.zeros(0)
    for _ in range(REPEATS):
        directions = torch.randn(real.shape[1], DIRECTIONS, generator=generator)
        directions /= directions.norm(dim=0)
        a, b = ((directions.T @ kind.T).sort(1) for kind in (real, generated))
        distances.append((a.values - b.values).abs().mean())
        if not len(changes) and images >= GROUPS:  # on the first directions alone
            tenth_a, tenth_b = group[a.indices], group[b.indices]
            without = [
                (a.values[tenth_a != number] - b.values[tenth_b != number]).abs().mean()
                for number in range(GROUPS)  # equally many are left in every direction
            ]
            changes = torch.stack(without) - distances[0]
    value = torch.stack(distances).mean()
    return Estimate(1000 * float(value), (1000 * (value + changes)).tolist())


def _normalised(descriptors: Tensor) -> Tensor:
    """Scale each channel to mean 0 and standard deviation 1 over all patches."""
    by_channel = descriptors.unflatten(1, (-1, PATCH * PATCH))
    mean = by_channel.mean((0, 2), keepdim=True)
    deviation = by_channel.std((0, 2), keepdim=True).clamp_min(1e-8)
    return ((by_channel - mean) / deviation).flatten(1)
