"""The averaged generator: what is sampled, scored and shipped."""

from copy import deepcopy

import torch
from torch import nn


def decay(batch: int, images_seen: int, half_life: float, ramp: float) -> float:
    """EMA decay of one update of ``batch`` images (Karras et al. 2020, StyleGAN2-ADA).

    ``half_life`` is in images and grows as ``ramp * images_seen`` at the start, so that a short
    run is not an average with its own noise-like beginning. ``ramp=0``: it does not.
    """
    effective = min(half_life, ramp * images_seen) if ramp > 0 else half_life
    return 0.5 ** (batch / max(effective, 1e-8))


def average_of(network: nn.Module) -> nn.Module:
    """A frozen copy of ``network`` to keep the average in."""
    return deepcopy(network).requires_grad_(False).eval()


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, beta: float) -> None:
    """``average = beta * average + (1 - beta) * network``, parameters only.

    BatchNorm statistics are no linear function of the weights: they are measured anew on the
    averaged weights by :func:`recalibrate_batch_norm` before anyone looks.
    """
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - beta)
