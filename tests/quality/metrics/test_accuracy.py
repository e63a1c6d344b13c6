"""Accuracy of classes, average precision of attributes."""

import pytest
import torch

from facegan.quality.metrics.accuracy import accuracy


def test_classes_have_accuracy_and_a_recall_each():
    truth = torch.eye(3, dtype=torch.bool)[torch.tensor([0, 0, 0, 1, 1, 2] * 5)]
    predicted = torch.eye(3)[torch.tensor([0, 0, 1, 1, 1, 0] * 5)]
    estimate, recall = accuracy(predicted, truth, multiclass=True)
    assert estimate.value == pytest.approx(4 / 6)
    assert recall == pytest.approx([2 / 3, 1, 0])
    assert estimate.error > 0


def test_attributes_have_average_precision_but_for_those_that_no_image_has():
    truth = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]]).bool()
    logits = torch.where(truth, 1.0, -1.0) + torch.rand(4, 3, generator=torch.manual_seed(0)) / 10
    logits[:, 1] *= -1  # ranked last: 1/3 and 2/4
    estimate, each = accuracy(logits, truth, multiclass=False)
    assert each[:2] == pytest.approx([1, (1 / 3 + 2 / 4) / 2])
    assert torch.tensor(each[2]).isnan()
    assert estimate.value == pytest.approx((each[0] + each[1]) / 2)
    assert estimate.error is None
