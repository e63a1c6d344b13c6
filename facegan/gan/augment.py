"""Differentiable augmentation (Zhao et al. 2020, arXiv:2006.10738) against overfitting of D.

D receives real and generated images changed at random in the same ways, in both half-steps, with
gradients flowing through the changes to G: D cannot memorise training images, and G does not learn
the changes. Strengths are the paper's.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(images: Tensor, policy: Sequence[str]) -> Tensor:
    """``images`` (N, C, H, W) in [-1, 1], each changed independently by all of ``policy``.

    ``policy``: names in ``POLICIES``. Colours may leave [-1, 1]. Random numbers come from torch's
    global state.
    """
    for name in policy:
        images = POLICIES[name](images)
    return images


def _color(images: Tensor) -> Tensor:
    """Brightness by up to 0.5, saturation by a factor in [0, 2), contrast in [0.5, 1.5)."""
    brightness, saturation, contrast = torch.rand(
        3, len(images), 1, 1, 1, device=images.device, dtype=images.dtype
    )
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5)


def _translation(images: Tensor) -> Tensor:
    """Shift by up to an eighth of the image along both axes; the border is filled with grey, 0."""
    n, _, height, width = images.shape
    down, right = (size // 8 for size in (height, width))
    padded = F.pad(images, (right, right, down, down))
    rows = _starts(n, 2 * down, images)[:, None] + torch.arange(height, device=images.device)
    columns = _starts(n, 2 * right, images)[:, None] + torch.arange(width, device=images.device)
    image = torch.arange(n, device=images.device)[:, None, None]
    # Indexed with channels last, where a pixel is contiguous in memory.
    moved = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _cutout(images: Tensor) -> Tensor:
    """A square of half the side becomes grey; its centre is anywhere in the image."""
    n, _, height, width = images.shape
    inside = []
    for size in (height, width):
        start = _starts(n, size, images)[:, None] - size // 4
        place = torch.arange(size, device=images.device)
        inside.append((place >= start) & (place < start + size // 2))
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0)


def _starts(n: int, most: int, images: Tensor) -> Tensor:
    """(n,) whole numbers from 0 to ``most``."""
    return torch.randint(most + 1, (n,), device=images.device)


POLICIES: dict[str, Callable[[Tensor], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
