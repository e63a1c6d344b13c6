"""What D sees in images, as vectors."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from facegan.errors import expect, expect_one_of
from facegan.features.stream import BATCH, Images, Reader
from facegan.networks.batch_norm import recalibrate_batch_norm

SPACES = ("features", "pixels")

CALIBRATION_IMAGES = 1024  # to measure BatchNorm statistics with


def calibrated(discriminator: nn.Module, images_of: Images, rows: np.ndarray) -> nn.Module:
    """A frozen copy of D whose BatchNorm statistics are measured on the first of real images.

    While training they average over real and generated images alike; the paper's authors, too,
    measured them anew before they read features. D itself is left as it is.
    """
    network = deepcopy(discriminator).requires_grad_(False).eval()
    known = rows[:CALIBRATION_IMAGES]
    parts = np.array_split(known, -(-len(known) // BATCH))
    recalibrate_batch_norm(network, (images_of(part) for part in parts))
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
