"""Whether a network finds what was asked for."""

import pytest
import torch

from facegan.quality.metrics.adherence import Asked, agreement, mean_balanced_accuracy

NAMES = ["Male", "Eyeglasses"]


def asked(n: int = 1000) -> Asked:
    values = torch.rand(n, 2, generator=torch.manual_seed(0)) < torch.tensor([0.5, 0.1])
    return Asked(NAMES, (), values.float())


def test_a_generator_that_obeys_scores_one_and_one_that_does_not_a_half():
    targets = asked().targets()
    assert mean_balanced_accuracy(targets, targets).value == 1
    random = torch.rand(targets.shape, generator=torch.manual_seed(1)) < 0.3
    estimate = mean_balanced_accuracy(random, targets)
    assert estimate.value == pytest.approx(0.5, abs=0.03)
    assert estimate.error is not None
    assert 0.001 < estimate.error < 0.05


def test_each_attribute_says_where_it_fails():
    targets = asked().targets()
    logits = torch.where(targets, 2.0, -2.0)
    logits[:, 1] = -2.0  # nobody is given glasses
    found = agreement(logits > 0, logits, targets, NAMES)
    assert found["Male"] == {
        "present": 1,
        "absent": 1,
        "balanced_accuracy": 1,
        "average_precision": 1,
    }
    assert (found["Eyeglasses"]["present"], found["Eyeglasses"]["absent"]) == (0, 1)
    share = float(targets[:, 1].float().mean())
    assert found["Eyeglasses"]["average_precision"] == pytest.approx(share, abs=1e-6)


def test_classes_are_attributes_of_which_one_is_asked_for():
    digits = Asked(["digit"], tuple("0123456789"), torch.tensor([[3], [7]]))
    assert digits.targets().nonzero().tolist() == [[0, 3], [1, 7]]
    assert digits.columns(list("9876543210")) == list(range(9, -1, -1))
