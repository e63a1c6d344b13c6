"""Kernel distance, by hand and by its properties."""

import pytest
import torch

from facegan.errors import InputError
from facegan.quality.metrics.kernel import kernel_distance
from facegan.quality.metrics.uncertainty import (
    groups,
)
from tests.quality.metrics import normal


def test_kernel_distance_is_unbiased_and_grows_with_the_difference():
    same, deviation = kernel_distance(normal(2000, 8), normal(2000, 8, 1), 20, 500)
    assert abs(same.value) < 3 * deviation
    near, _ = kernel_distance(normal(2000, 8), normal(2000, 8, 1) + 0.2, 20, 500)
    far, _ = kernel_distance(normal(2000, 8), normal(2000, 8, 1) + 0.5, 20, 500)
    assert deviation < near.value < far.value


def test_kernel_distance_by_hand():
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [1.0]])
    # (xy + 1)^3: within x 27, within y 1, between 1, 1, 8, 27
    assert kernel_distance(x, y, 1, 2)[0].value == pytest.approx(27 + 1 - 2 * (1 + 1 + 8 + 27) / 4)


def test_kernel_replicates_leave_out_a_tenth_of_the_generated_images():
    real, generated = normal(40, 3), normal(40, 3, 1)
    estimate, _ = kernel_distance(real, generated, subsets=1, size=40)
    m, gram = 36, lambda a, b: (a.double() @ b.double().T / 3 + 1) ** 3
    for number, group in enumerate(groups(40)):
        kept = torch.ones(40, dtype=torch.bool)
        kept[group] = False
        left = generated[kept]
        within = [k.sum() - k.diagonal().sum() for k in (gram(real, real), gram(left, left))]
        expected = within[0] / (40 * 39) + within[1] / (m * (m - 1)) - 2 * gram(real, left).mean()
        assert estimate.replicates[number] == pytest.approx(float(expected))


def test_subsets_larger_than_the_data_are_refused():
    with pytest.raises(InputError, match="kid_subset_size=10 or less"):
        kernel_distance(normal(10, 3), normal(20, 3))
