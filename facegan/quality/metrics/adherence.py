"""Adherence: does an independent network find in generated images what was asked for?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_average_precision

from facegan.gan.gan import GAN
from facegan.quality.metrics.uncertainty import GROUPS, Estimate, group_numbers

Found = Mapping[str, Mapping[str, float]]  # numbers by attribute or class


@dataclass(frozen=True)
class Asked:
    """What a conditional generator was asked for.

    Attributes:
        names: of the labels; of classes one.
        classes: names of its values; empty for attributes.
        values: (N, L), of each image.
    """

    names: Sequence[str]
    classes: Sequence[str]
    values: Tensor

    @classmethod
    def of(cls, gan: GAN, n: int, seed: int) -> "Asked | None":
        """What ``gan.images_of(n, seed)`` are asked for; None where no label of the data is."""
        conditions = gan.conditions
        if conditions.kind not in ("classes", "attributes"):
            return None
        return cls(conditions.names, conditions.classes, conditions.draw(n, seed))

    def columns(self, labels: Sequence[str]) -> list[int]:
        """Where these attributes or classes are among what a network predicts."""
        return [list(labels).index(name) for name in self.classes or self.names]

    def targets(self) -> Tensor:
        """Whether each attribute or class is asked for: (N, C) bool."""
        return targets_of(self.values, len(self.classes))


def targets_of(values: Tensor, classes: int) -> Tensor:
    """Attributes (N, A), or the number of one of ``classes`` (N, 1), as (N, C) bool."""
    return values == torch.arange(classes) if classes else values >= 0.5


def agreement(predicted: Tensor, logits: Tensor, targets: Tensor, names: Sequence[str]) -> Found:
    """Per attribute or class, how well predictions (N, C) agree with ``targets`` (N, C), both bool.

    ``present`` and ``absent``: share of right predictions where it is asked for, and where it is
    not; ``balanced_accuracy``: their mean; ``average_precision``: of the logits (N, C).
    """
    found = {}
    for column, name in enumerate(names):
        target, right = targets[:, column], (predicted == targets)[:, column].double()
        present, absent = float(right[target].mean()), float(right[~target].mean())
        precision = float(binary_average_precision(logits[:, column], target.long()))
        found[name] = {
            "present": present,
            "absent": absent,
            "balanced_accuracy": (present + absent) / 2,
            "average_precision": precision,
        }
    return found


def mean_balanced_accuracy(predicted: Tensor, targets: Tensor) -> Estimate:
    """Mean over attributes or classes, of those that are both asked for and not: chance is 0.5."""
    right, count = (predicted == targets).double(), len(targets)

    def value(chosen: Tensor) -> float:
        r, t = right[chosen], targets[chosen].double()
        recall = (r * t).sum(0) / t.sum(0)
        specificity = (r * (1 - t)).sum(0) / (1 - t).sum(0)
        return float(((recall + specificity) / 2).nanmean())

    whole = value(torch.ones(count, dtype=torch.bool))
    if count < GROUPS:
        return Estimate(whole)
    numbers = group_numbers(count)
    return Estimate(whole, [value(numbers != group) for group in range(GROUPS)])
