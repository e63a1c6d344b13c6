"""Features of D: from images to vectors."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from facegan.errors import InputError
from facegan.features.stream import BATCH, Images, Reader
from facegan.networks import FeatureDiscriminator
from facegan.networks.batch_norm import recalibrate_batch_norm

CALIBRATION_IMAGES = 1024  # real images that BatchNorm statistics are measured on


def calibrated(discriminator: nn.Module, images_of: Images, rows: np.ndarray) -> nn.Module:
    """A frozen copy of D whose BatchNorm statistics are measured on the first of real ``rows``.

    During training the statistics average over real and generated images alike; the authors of
    DCGAN, too, measured them again before reading features. D itself does not change.
    """
    network = deepcopy(discriminator).requires_grad_(False).eval()
    first = rows[:CALIBRATION_IMAGES]
    parts = np.array_split(first, -(-len(first) // BATCH))
    recalibrate_batch_norm(network, ([images_of(part)] for part in parts))
    return network


def statistics(network: nn.Module) -> dict[str, np.ndarray]:
    """The buffers of :func:`calibrated`'s copy by name: what :func:`with_statistics` restores."""
    return {name: value.cpu().numpy() for name, value in network.named_buffers()}


def with_statistics(discriminator: nn.Module, measured: Mapping[str, np.ndarray]) -> nn.Module:
    """A frozen copy of D with the :func:`statistics` of an earlier calibration.

    Raises KeyError or RuntimeError if they are not of a network like ``discriminator``.
    """
    network = deepcopy(discriminator).requires_grad_(False).eval()
    for name, value in network.named_buffers():
        value.copy_(torch.from_numpy(measured[name]))
    return network


def reader(
    space: str, discriminator: nn.Module | None = None, layers: Sequence[int] | None = None
) -> Reader:
    """The function from images in [-1, 1] (N, C, H, W) to vectors (N, d), float32.

    ``space``: ``features`` of ``discriminator`` (of its ``layers``, numbered from 1 at the image;
    ``None``: all), or ``pixels``, flattened. Raises InputError for layers D does not have.
    """
    if space == "pixels":
        return lambda images: images.flatten(1)
    if space != "features":
        raise InputError(f"space must be one of features, pixels, not {space!r}.")
    D = cast(FeatureDiscriminator, discriminator)
    chosen = None if layers is None else _valid_layers(layers, len(D.layers))

    @torch.inference_mode()
    def read(images: Tensor) -> Tensor:
        return D.forward_features(images, chosen)

    return read


def _valid_layers(layers: Sequence[int], count: int) -> list[int]:
    listed = isinstance(layers, Sequence) and not isinstance(layers, str) and len(layers) > 0
    if not (listed and all(type(layer) is int and 1 <= layer <= count for layer in layers)):
        raise InputError(
            f"layers must be a list of D's layers, numbered 1 (at the image) to {count}, like "
            f"[{max(1, count - 1)},{count}]; not {layers!r}."
        )
    return sorted(set(layers))
