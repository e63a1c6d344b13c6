"""How well a network's logits tell labels of images."""

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_average_precision

from facegan.features.classifier import predict
from facegan.quality.metrics.uncertainty import GROUPS, Estimate, group_numbers, mean_estimate


def accuracy(logits: Tensor, truth: Tensor, multiclass: bool) -> tuple[Estimate, list[float]]:
    """Accuracy for classes, mean average precision for attributes; and a value for each of these.

    Of a class the latter is its recall, of an attribute its average precision; nan where no image
    has it.

    Args:
        logits: (N, C).
        truth: whether an image has each attribute or class (N, C) bool.
        multiclass: whether an image has exactly one of them.
    """
    if multiclass:
        right = (predict(logits, multiclass) & truth).any(1).double()
        return mean_estimate(right), [float(right[having].mean()) for having in truth.T]

    def precisions(chosen: Tensor) -> Tensor:
        return torch.tensor(
            [
                float(binary_average_precision(row[chosen], having[chosen].long()))
                if having[chosen].any()
                else torch.nan
                for row, having in zip(logits.T, truth.T, strict=True)
            ]
        )

    every = torch.ones(len(truth), dtype=torch.bool)
    whole, numbers = precisions(every), group_numbers(len(truth))
    groups = range(GROUPS) if len(truth) >= GROUPS else ()
    without = [float(precisions(numbers != group).nanmean()) for group in groups]
    return Estimate(float(whole.nanmean()), without), whole.tolist()
