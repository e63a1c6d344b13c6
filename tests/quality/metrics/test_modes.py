"""Modes covered, and reverse KL."""

from math import log

import numpy as np
import pytest
import torch

from facegan.quality.metrics.modes import mode_numbers, mode_shares, modes

UNIFORM = np.full(1000, 1 / 1000)


def test_the_thousand_combinations_have_numbers_of_their_own():
    digits = torch.cartesian_prod(*[torch.arange(10)] * 3)
    assert sorted(mode_numbers(digits).tolist()) == list(range(1000))


def test_shares_are_those_of_the_numbered_combinations():
    digits = np.array([[0, 5, 2], [1, 5, 2], [1, 6, 2], [1, 6, 2]], np.uint8)
    shares = mode_shares(digits)
    assert shares.sum() == pytest.approx(1)
    number = int(mode_numbers(torch.tensor([[1, 6, 2]])))
    assert shares[number] == pytest.approx(0.75 * 0.5)
    assert (shares > 0).sum() == 4


def test_a_generator_of_all_modes_alike_is_perfect():
    found = modes(torch.arange(1000).repeat(25), UNIFORM)
    assert found.covered.value == 1000
    assert found.ideal_covered == pytest.approx(1000)
    assert found.reverse_kl.value == pytest.approx(0)


def test_a_collapsed_generator_covers_one_mode_of_a_thousand():
    found = modes(torch.full((100,), 123), UNIFORM)
    assert found.covered == (1, [1.0] * 10)
    assert found.reverse_kl.value == pytest.approx(log(1000))  # nats
    assert found.reverse_kl.error == pytest.approx(0)


def test_ideals_are_what_draws_from_the_data_have_by_chance():
    shares = mode_shares(np.random.default_rng(0).integers(0, 10, (2000, 3)))
    rng = np.random.default_rng(1)
    drawn = [modes(torch.from_numpy(rng.choice(1000, 2000, p=shares)), shares) for _ in range(30)]
    covered = [found.covered.value for found in drawn]
    divergences = [found.reverse_kl.value for found in drawn]
    assert np.mean(covered) == pytest.approx(drawn[0].ideal_covered, abs=5)
    assert np.mean(divergences) == pytest.approx(drawn[0].ideal_reverse_kl, rel=0.03)
    # Errors by the jackknife are rather larger than what the values scatter by.
    assert 0.5 < drawn[0].reverse_kl.error / np.std(divergences) < 4
    assert 0.5 < drawn[0].covered.error / np.std(covered) < 4


def test_few_images_have_no_error():
    found = modes(torch.arange(5), UNIFORM)
    assert found.covered == (5, [])
    assert found.reverse_kl.error is None
