"""Sliced Wasserstein distance of patches (Karras et al. 2018, arXiv:1710.10196, section 5).

It needs no network: images are taken apart into a Laplacian pyramid (Burt & Adelson 1983), and at
each of its levels small patches are compared along random directions. The paper's numbers are from
16,384 images of each kind: with fewer they are higher.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH, PER_IMAGE, DIRECTIONS, REPEATS = 7, 128, 128, 4
SMALLEST = 16  # pixels of the last level


def patches(images: Tensor, seed: int = 0) -> dict[int, Tensor]:
    """Descriptors (N * 128, C * 49) of every level, by its size in pixels.

    ``images`` float (N, C, H, W). The same seed takes the patches from the same places.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for level in pyramid(images):
        size = level.shape[-1]
        count = len(level) * PER_IMAGE
        image = torch.arange(len(level)).repeat_interleave(PER_IMAGE)
        top, left = torch.randint(0, size - PATCH + 1, (2, count), generator=generator)
        steps = torch.arange(PATCH)
        rows = (top[:, None] + steps)[:, None, :, None]
        columns = (left[:, None] + steps)[:, None, None, :]
        channels = torch.arange(level.shape[1])[None, :, None, None]
        found[size] = level[image[:, None, None, None], channels, rows, columns].flatten(1)
    return found


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


def sliced_wasserstein(real: Tensor, generated: Tensor, seed: int = 0) -> float:
    """Between as many descriptors (N, d) of each kind, times 1000 as in the paper."""
    count = min(len(real), len(generated))
    real, generated = _normalised(real[:count]), _normalised(generated[:count])
    generator = torch.Generator().manual_seed(seed)
    distances = []
    for _ in range(REPEATS):
        directions = torch.randn(real.shape[1], DIRECTIONS, generator=generator)
        directions /= directions.norm(dim=0)
        a = (real @ directions).sort(0).values
        b = (generated @ directions).sort(0).values
        distances.append((a - b).abs().mean())
    return 1000 * float(torch.stack(distances).mean())


def _normalised(descriptors: Tensor) -> Tensor:
    """Each channel of a patch to mean 0 and deviation 1, over all patches."""
    by_channel = descriptors.unflatten(1, (-1, PATCH * PATCH))
    mean = by_channel.mean((0, 2), keepdim=True)
    deviation = by_channel.std((0, 2), keepdim=True).clamp_min(1e-8)
    return ((by_channel - mean) / deviation).flatten(1)
