"""The averaged generator: what is sampled, scored and shipped."""

from collections.abc import Iterable
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from facegan.networks.batch_norm import evaluating, recalibrate_batch_norm

CHUNK = 64  # rows that are passed through the network at a time
CALIBRATION_LATENTS = 1024


def decay(batch: int, images_seen: int, half_life: float, ramp: float) -> float:
    """EMA decay of one update of ``batch`` images (Karras et al. 2020, StyleGAN2-ADA).

    ``half_life`` is in images. With ``ramp > 0`` it is at most ``ramp * images_seen``, so that the
    average of a short run is not dominated by its initial weights.
    """
    effective = min(half_life, ramp * images_seen) if ramp > 0 else half_life
    return 0.5 ** (batch / max(effective, 1e-8))


def average_of(network: nn.Module) -> nn.Module:
    """A frozen copy of ``network`` to keep the average in."""
    return deepcopy(network).requires_grad_(False).eval()


def update_average(average: nn.Module, network: nn.Module, beta: float) -> None:
    """``average = beta * average + (1 - beta) * network``, parameters only, in place.

    BatchNorm statistics are not linear in the weights: :func:`calibrate` measures them.
    """
    update = get_ema_multi_avg_fn(beta)
    update(list(average.parameters()), list(network.parameters()), 0)


def calibrate(network: nn.Module, z: Tensor, conditions: Tensor | None) -> None:
    """Measure the network's BatchNorm statistics on these inputs."""
    recalibrate_batch_norm(network, _chunks(z, conditions))


def generate(network: nn.Module, z: Tensor, conditions: Tensor | None = None) -> Tensor:
    """Images (N, C, H, W) of latents (N, latent_dim), in eval mode and without gradients.

    An image does not depend on N: convolutions round differently for different batch sizes, so
    the network always gets 64 latents, padded with zeros.
    """

    def padded(part: Tensor) -> Tensor:
        return F.pad(part, (0, 0, 0, CHUNK - len(part)))

    with evaluating(network):
        images = [network(*map(padded, part)) for part in _chunks(z, conditions)]
    return torch.cat(images)[: len(z)]


def _chunks(z: Tensor, conditions: Tensor | None) -> Iterable[tuple[Tensor, ...]]:
    inputs = [z] if conditions is None else [z, conditions]
    return zip(*(values.split(CHUNK) for values in inputs), strict=True)
