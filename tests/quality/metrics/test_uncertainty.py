"""Standard errors, and tests of differences."""

import numpy as np
import pytest

from facegan.quality.metrics.manifold import manifold
from facegan.quality.metrics.uncertainty import (
    Estimate,
    group_mean_estimate,
    group_numbers,
    groups,
    mean_estimate,
    paired_difference,
)
from tests.quality.metrics import normal


def test_the_error_of_a_mean_is_the_textbook_one():
    values = normal(5000, 1)[:, 0] * 3
    estimate = mean_estimate(values)
    assert estimate.value == pytest.approx(float(values.mean()), rel=1e-5)
    assert estimate.error == pytest.approx(3 / 5000**0.5, rel=0.6)  # from ten groups only
    by_group = [float(values[part].mean()) for part in groups(5000)]
    assert estimate.error == pytest.approx(np.std(by_group, ddof=1) / 10**0.5, rel=1e-6)
    assert mean_estimate(values[:5]).error is None


def test_groups_are_all_images_once():
    for count in (10, 37, 1000):
        found = [np.arange(count)[group] for group in groups(count)]
        assert np.array_equal(np.concatenate(found), np.arange(count))
        numbers = group_numbers(count)
        assert all((numbers[group] == n).all() for n, group in enumerate(groups(count)))


def p_of(first: Estimate, second: Estimate) -> float:
    return paired_difference(first, second)[1]


def test_equal_generators_rarely_differ_and_others_do():
    found = []
    for seed in range(200):
        noise = normal(400, 2, seed)
        found.append(p_of(mean_estimate(noise[:, 0]), mean_estimate(noise[:, 1])))
    assert 0.01 < np.mean(np.array(found) < 0.05) < 0.1
    assert p_of(mean_estimate(noise[:, 0]), mean_estimate(noise[:, 1] + 1)) < 1e-4


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_generators_of_the_same_distribution_rarely_differ(name: str):
    real = normal(200, 3)
    found = [
        p_of(*(manifold(real, normal(200, 3, seed + 1000 * i))[name] for i in (1, 2)))
        for seed in range(60)
    ]
    assert np.mean(np.array(found) < 0.05) < 0.16  # about 0.05


def test_shared_latents_make_small_differences_visible():
    shared, own = normal(1000, 1)[:, 0], normal(1000, 1, 1)[:, 0]
    better_by = 0.02
    assert p_of(mean_estimate(shared), mean_estimate(shared + better_by)) < 1e-6
    assert p_of(mean_estimate(shared), mean_estimate(own + better_by)) > 0.01


def test_identical_scores_are_not_called_different():
    same = group_mean_estimate([1.0] * 10)
    assert p_of(same, same) == 1
    assert p_of(same, Estimate(1.1)) is None
