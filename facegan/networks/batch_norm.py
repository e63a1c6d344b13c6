"""BatchNorm: statistics shared by all processes, or measured again for evaluation."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


@torch.no_grad()
def recalibrate_batch_norm(network: nn.Module, batches: Iterable[Sequence[Tensor]]) -> None:
    """Replace every BatchNorm's running mean and variance by their average over ``batches``.

    A batch is a sequence of the network's inputs.

    The running statistics of training are those of earlier weights, one reason why DCGAN samples
    look washed out in eval mode.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.SyncBatchNorm)]
    if not norms:
        return
    before = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
        norm.train()  # only the norms: spectral norm would run a power iteration
    try:
        for batch in batches:
            network(*batch)
    finally:
        for norm, (momentum, training) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.train(training)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """Eval mode without gradients; every module gets back the mode it had."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield network
    finally:
        for module, training in modes:
            module.training = training


class SyncBatchNorm2d(nn.SyncBatchNorm):
    """``nn.SyncBatchNorm`` that works on CPUs, too, where torch has none.

    On other devices it is torch's own. Parameters and buffers are those of ``nn.BatchNorm2d``.
    """

    def forward(self, input: Tensor) -> Tensor:
        shared = self.training and dist.is_available() and dist.is_initialized()
        if not shared or input.device.type != "cpu":
            return super().forward(input)
        values = input.float()  # squares of half precision overflow
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), count])
        sums = all_reduce(sums)
        total, squares, (count,) = sums.split([self.num_features, self.num_features, 1])
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        self._update_running_stats(mean.detach(), variance.detach() * count / (count - 1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        shift = self.bias - mean * scale
        out = torch.addcmul(shift[:, None, None], values, scale[:, None, None])
        return out.to(input.dtype).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _update_running_stats(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        # Without momentum: the average over all batches, as in nn.BatchNorm2d.
        momentum = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def convert_sync_batchnorm(network: nn.Module) -> None:
    """Make every BatchNorm inside ``network`` share its statistics among processes, in place."""
    nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.SyncBatchNorm:
            # Safe: the class adds a method and no state, so the object is complete as it is.
            module.__class__ = SyncBatchNorm2d
