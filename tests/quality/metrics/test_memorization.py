"""The search for copies of training images."""

import pytest
import torch

from facegan.errors import InputError
from facegan.quality.metrics.memorization import memorization
from tests.quality.metrics import normal


def test_a_copier_is_caught_and_an_honest_generator_passes():
    train, held_out = normal(3000, 16), normal(600, 16, 1)
    honest = memorization(train, held_out, normal(500, 16, 2))
    assert not honest.copier
    assert honest.copies < 0.04
    smooth = memorization(
        train, held_out, 0.5 * normal(500, 16, 3)
    )  # near everything, but no copies
    assert not smooth.copier
    copies = train[torch.arange(500)] + 0.01 * normal(500, 16, 4)
    caught = memorization(train, held_out, copies)
    assert caught.copier
    assert caught.copies == 1
    assert torch.equal(caught.row, torch.arange(500))
    few = memorization(train, held_out, torch.cat([normal(450, 16, 5), copies[:50]]))  # one in ten
    assert few.copier


def test_exact_copies_have_a_ratio_of_zero():
    train = normal(200, 3)
    found = memorization(train, normal(100, 3, 1), train[:7])
    assert found.ratio.max() < 1e-6


def test_mirrored_copies_are_found_where_they_are_looked_for():
    images = normal(500, 2, 0)[:, None].repeat(1, 4, 1).flatten(1) + normal(500, 8, 1)
    mirror = torch.arange(8).flip(0)
    train, held_out = images[:400], images[400:]
    copies = train[:50, mirror]
    assert not memorization(train, held_out, copies).copier
    both = memorization(
        train,
        torch.stack([held_out, held_out[:, mirror]], 1),
        torch.stack([copies, copies[:, mirror]], 1),
    )
    assert both.copier
    assert both.copies == 1
    assert both.row.tolist() == list(range(50))


def test_a_copier_is_caught_though_held_out_images_are_in_the_training_set():
    train = normal(1000, 8)
    held_out = torch.cat([normal(300, 8, 1), train[:50]])
    assert memorization(train, held_out, train[100:400]).copier
    assert not memorization(train, held_out, normal(300, 8, 2)).copier


def test_without_held_out_images_nothing_is_said():
    with pytest.raises(InputError, match="100 held-out"):
        memorization(normal(10, 2), normal(9, 2), normal(5, 2))
