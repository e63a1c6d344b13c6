"""uint8 to [-1, 1] and back: the only two conversions."""

import torch
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) to float32 in [-1, 1], channels_last; the inverse of :func:`to_uint8`."""
    images = images.to(torch.float32, memory_format=torch.channels_last)
    return images.div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] to uint8, rounded and clipped; the inverse of :func:`to_float`."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
