"""The averaged generator: what is sampled, scored and shipped."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn


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


@torch.no_grad()
def recalibrate_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace every BatchNorm's running mean and variance by their plain average over ``batches``.

    In eval mode a generator otherwise shows statistics of weights it no longer has, the reason
    why DCGAN samples so often look washed out there.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    if not norms:
        return
    modes = [module.training for module in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's way to say: cumulative average
        norm.train()  # and nothing else: spectral normalisation has something to train, too
    try:
        for batch in batches:
            network(batch)
    finally:
        for norm, momentum, mode in zip(norms, momenta, modes, strict=True):
            norm.momentum = momentum
            norm.train(mode)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """Eval mode without gradients inside; the mode it had before, afterwards."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield network
    finally:
        network.train(training)
