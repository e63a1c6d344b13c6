import pytest
import torch
from torch import nn

from facegan.gan.ema import average_of, decay, update_average
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
