"""The averaged generator: what is sampled, scored and shipped."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from facegan.gan.latents import sample_latents
from facegan.networks.batch_norm import evaluating, recalibrate_batch_norm
from facegan.seeds import CALIBRATION, mix_seed

CHUNK = 64  # latents that are passed through the network at a time
CALIBRATION_BLOCKS = 16


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


def calibrate(network: nn.Module, latent_dim: int, seed: int, device: torch.device) -> None:
    """Measure the network's BatchNorm statistics on 1024 latents that follow from ``seed``."""
    z = sample_latents(CHUNK * CALIBRATION_BLOCKS, latent_dim, mix_seed(seed, CALIBRATION))
    recalibrate_batch_norm(network, z.to(device).split(CHUNK))


def generate(network: nn.Module, z: Tensor) -> Tensor:
    """Images (N, C, H, W) of latents ``z`` (N, latent_dim), in eval mode and without gradients.

    An image does not depend on N: convolutions round differently for different batch sizes, so
    the network always gets 64 latents, padded with zeros.
    """
    with evaluating(network):
        blocks = [network(F.pad(part, (0, 0, 0, CHUNK - len(part)))) for part in z.split(CHUNK)]
    return torch.cat(blocks)[: len(z)]
