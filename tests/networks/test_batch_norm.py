"""BatchNorm: statistics measured anew, eval mode, and statistics shared by two processes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from facegan.networks.batch_norm import (
    SyncBatchNorm2d,
    convert_sync_batchnorm,
    evaluating,
    recalibrate_batch_norm,
)
from facegan.networks.dcgan import Generator

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
    eval_mode = network.eval()(images)
    network[1].running_mean.add_(1)
    assert not torch.allclose(network(images), eval_mode)  # it uses the running statistics


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, SyncBatchNorm2d])
def test_recalibrated_statistics_are_those_of_the_batches(kind: type[nn.BatchNorm2d]):
    norm = kind(3, momentum=0.1).eval()
    data = torch.randn(4, 16, 3, 5, 5) * 3 + 7
    recalibrate_batch_norm(norm, ([batch] for batch in data))
    torch.testing.assert_close(norm.running_mean, data.mean(dim=(0, 1, 3, 4)))
    assert norm.running_var.sqrt().mean().item() == pytest.approx(3, rel=0.05)
    assert norm.momentum == 0.1
    assert not norm.training


def test_eval_mode_then_shows_what_training_mode_shows():
    torch.manual_seed(0)
    G = Generator(32, width=8)
    for p in G.parameters():
        p.data.mul_(1.5)  # statistics at initialisation are far off
    z = torch.randn(512, 100)
    with torch.no_grad():
        wanted = G(z)
        G.apply(lambda m: m.reset_running_stats() if isinstance(m, nn.BatchNorm2d) else None)
        before = (G.eval()(z) - wanted).abs().mean()
        recalibrate_batch_norm(G, ([part] for part in z.split(64)))
        after = (G(z) - wanted).abs().mean()
    assert after < 0.3 * before


def test_evaluating_gives_every_module_its_mode_back():
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(1).eval(), nn.Sequential(nn.Dropout()))
    modes = [module.training for module in network.modules()]
    with evaluating(network):
        assert not any(module.training for module in network.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in network.modules()] == modes
    with pytest.raises(RuntimeError, match="inside"), evaluating(network):
        raise RuntimeError("inside")
    assert [module.training for module in network.modules()] == modes
