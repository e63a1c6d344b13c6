"""Precision, recall, density and coverage, by hand and in extreme cases."""

from types import SimpleNamespace

import pytest
import torch

from facegan.errors import InputError
from facegan.quality.metrics.manifold import manifold
from tests.quality.metrics import normal


def line(*places: float) -> torch.Tensor:
    return torch.tensor(places, dtype=torch.float32)[:, None]


def shares(*given, **options) -> SimpleNamespace:
    found = manifold(*given, **options)
    return SimpleNamespace(**{name: estimate.value for name, estimate in found.items()})


def test_precision_and_recall_by_hand():
    real, generated = line(0, 1, 2, 3, 10), line(0.5, 1.5, 2.5, 50)
    got = shares(real, generated, k=1, k_density=1)
    # A real one reaches 1 (the one at 10: 7); a generated one 1 (the one at 50: 47.5).
    assert got.precision == 3 / 4
    assert got.recall == 1  # 10 is within 47.5 of 50
    # Those at 0.5, 1.5 and 2.5 are reached by two each; the one at 2.5 not from 10, which is 7.5
    assert got.density == 6 / 4
    assert got.coverage == pytest.approx(4 / 5)


def test_the_same_distribution_and_its_opposites():
    real = normal(400, 4)
    same = shares(real, normal(400, 4, 1))
    assert min(same.precision, same.recall, same.coverage) > 0.7
    assert same.density == pytest.approx(1, abs=0.2)
    collapsed = shares(real, normal(400, 4, 1) * 0.01)
    assert collapsed.precision > 0.95
    assert max(collapsed.recall, collapsed.coverage) < 0.2
    noise = shares(real, normal(400, 4, 1) * 20)
    assert max(noise.precision, noise.density, noise.coverage) < 0.2


def test_too_few_neighbours_are_refused():
    with pytest.raises(InputError, match="more than 5 images"):
        manifold(normal(5, 2), normal(10, 2))
