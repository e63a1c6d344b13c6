"""BatchNorm: statistics over all devices, and measured anew for evaluation."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


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


class SyncBatchNorm2d(nn.BatchNorm2d):
    """``nn.BatchNorm2d`` whose statistics, while training, are those of all processes' batches.

    Parameters and buffers have the same names. Where there is one process it is the same.
    """

    def forward(self, images: Tensor) -> Tensor:
        together = self.training and dist.is_available() and dist.is_initialized()
        if not together or dist.get_world_size() == 1:
            return super().forward(images)
        values = images.float()  # squares of half precision overflow
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), count])
        sums = all_reduce(sums)
        total, squares, (count,) = sums.split([self.num_features, self.num_features, 1])
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        shift = self.bias - mean * scale
        out = torch.addcmul(shift[:, None, None], values, scale[:, None, None])
        return out.to(images.dtype).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        # Without momentum: the average over all batches, as in nn.BatchNorm2d.
        momentum = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def convert_sync_batchnorm(network: nn.Module) -> None:
    """Have every BatchNorm of ``network`` share its statistics, in place."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNorm2d
