import pytest
import torch
from torch import nn

from facegan.gan.ema import average_of, decay, update_average
from facegan.networks.batch_norm import evaluating, recalibrate_batch_norm
from facegan.networks.dcgan import Generator


def test_half_life_is_in_images():
    assert decay(1000, 10**9, half_life=1000, ramp=1) == pytest.approx(0.5)
    steps = decay(64, 10**9, half_life=6400, ramp=1) ** 100
    assert steps == pytest.approx(0.5)


def test_a_short_run_averages_over_less():
    early = decay(64, 640, half_life=10_000, ramp=0.05)
    late = decay(64, 10**6, half_life=10_000, ramp=0.05)
    assert early < 0.5 < late


def test_no_ramp_is_the_full_half_life_at_once():
    assert decay(64, 64, half_life=64, ramp=0) == 0.5


def test_no_half_life_is_a_copy():
    assert decay(64, 0, half_life=10_000, ramp=0.05) == 0
    G = Generator(16, width=4)
    average = average_of(G)
    for p in G.parameters():
        p.data.add_(1)
    update_average(average, G, decay(64, 640, half_life=0, ramp=0.05))
    for p, q in zip(average.parameters(), G.parameters(), strict=True):
        assert torch.equal(p, q)


def test_update_is_the_weighted_mean():
    a, b = nn.Linear(2, 1), nn.Linear(2, 1)
    expected = 0.9 * a.weight + 0.1 * b.weight
    update_average(a, b, 0.9)
    torch.testing.assert_close(a.weight, expected)


def test_recalibrated_statistics_are_those_of_the_batches():
    norm = nn.BatchNorm2d(3, momentum=0.1).eval()
    data = torch.randn(4, 16, 3, 5, 5) * 3 + 7
    recalibrate_batch_norm(norm, data)
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
        recalibrate_batch_norm(G, z.split(64))
        after = (G(z) - wanted).abs().mean()
    assert after < 0.3 * before


def test_evaluating_restores_the_mode():
    net = nn.Dropout()
    with evaluating(net):
        assert not net.training
        assert not torch.is_grad_enabled()
    assert net.training
    with pytest.raises(RuntimeError, match="inside"), evaluating(net):
        raise RuntimeError("inside")
    assert net.training
