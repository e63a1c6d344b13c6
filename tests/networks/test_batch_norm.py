"""Two processes with half a batch each do what one does with all of it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from facegan.networks.batch_norm import SyncBatchNorm2d, convert_sync_batchnorm

HALF = """
import sys
import torch
import torch.distributed as dist
from torch import nn
from facegan.networks.batch_norm import convert_sync_batchnorm

rank, directory = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{directory}/store", rank=rank, world_size=2)
torch.manual_seed(0)
network = nn.Sequential(
    nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(0.2),
    nn.Conv2d(4, 1, 6))
convert_sync_batchnorm(network)
images = torch.randn(8, 3, 8, 8)[4 * rank : 4 * rank + 4]
for _ in range(2):
    loss = network(images).square().mean()
loss.backward()
for parameter in network.parameters():  # as DDP does
    dist.all_reduce(parameter.grad)
    parameter.grad /= 2
gradients = [parameter.grad for parameter in network.parameters()]
torch.save({"gradients": gradients, "state": network.state_dict()}, f"{directory}/{rank}.pt")
"""


@pytest.mark.slow
def test_two_halves_are_one_batch(tmp_path: Path):
    (tmp_path / "half.py").write_text(HALF)
    path = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    halves = [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "half.py"), str(rank), str(tmp_path)], env=path
        )
        for rank in (0, 1)
    ]
    assert [half.wait(timeout=120) for half in halves] == [0, 0]
    torch.manual_seed(0)
    whole = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 6)
    )
    images = torch.randn(8, 3, 8, 8)
    for _ in range(2):
        loss = whole(images).square().mean()
    loss.backward()
    for rank in (0, 1):
        saved = torch.load(tmp_path / f"{rank}.pt")
        for ours, theirs in zip(saved["gradients"], whole.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs.grad, rtol=1e-4, atol=1e-6)
        for name, values in whole.state_dict().items():
            torch.testing.assert_close(saved["state"][name], values, rtol=1e-5, atol=1e-6)


def test_alone_it_is_batch_norm():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    images = torch.randn(5, 3, 8, 8)
    before = network(images)
    names = list(network.state_dict())
    convert_sync_batchnorm(network)
    assert isinstance(network[1], SyncBatchNorm2d)
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(images), before)
    torch.testing.assert_close(network.eval()(images).isfinite().all(), torch.tensor(True))
