"""Standard errors of metrics by the jackknife: their values without each tenth of the images.

It works alike for every metric, whatever its formula. Generated images are left out, so that two
generators with the same latents can be compared on the same tenths: the error of their difference
is mostly smaller than their own errors. (Sliced Wasserstein distance takes equally many images of
both kinds: real ones are left out, too.)
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

GROUPS = 10


class Estimate(NamedTuple):
    """A metric's value on all images, and its jackknife replicates.

    Attributes:
        value: on all images.
        replicates: without each tenth of the generated images; empty for too few images.
    """

    value: float
    replicates: Sequence[float] = ()

    @property
    def error(self) -> float | None:
        """One standard error, by the choice of images (Efron & Stein 1981); ``None`` if unknown."""
        return _jackknife_error(np.array(self.replicates))


def groups(count: int) -> list[slice]:
    """Split ``count`` images into ten consecutive groups of about equal size."""
    edges = [number * count // GROUPS for number in range(GROUPS + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def group_numbers(count: int) -> Tensor:
    """The number of each image's group in :func:`groups`: (count,) uint8."""
    numbers = torch.empty(count, dtype=torch.uint8)
    for number, group in enumerate(groups(count)):
        numbers[group] = number
    return numbers


def mean_estimate(values: Tensor) -> Estimate:
    """Estimate a metric that is the mean of ``values`` (N,), one per image."""
    value = float(values.double().mean())
    if len(values) < GROUPS:
        return Estimate(value)
    sums = torch.stack([values[group].double().sum() for group in groups(len(values))])
    sizes = torch.tensor([group.stop - group.start for group in groups(len(values))])
    return Estimate(value, ((sums.sum() - sums) / (len(values) - sizes)).tolist())


def group_mean_estimate(values: Sequence[float]) -> Estimate:
    """Estimate a metric that is the mean of its ``values`` on the ten groups."""
    found = np.array(values)
    return Estimate(float(found.mean()), ((found.sum() - found) / (len(found) - 1)).tolist())


def paired_difference(first: Estimate, second: Estimate) -> tuple[float | None, float | None]:
    """The standard error of ``second - first``, and the p-value of so large a difference.

    Both are of the same latents: a two-sided t-test over the ten jackknife replicates, which
    accounts for the choice of latents alone. ``None`` where an estimate has no replicates.
    """
    if len(first.replicates) != len(second.replicates):
        return None, None
    error = _jackknife_error(np.array(second.replicates) - np.array(first.replicates))
    if error is None:
        return None, None
    difference = second.value - first.value
    if error == 0:
        return error, float(difference == 0)
    return error, float(2 * student.sf(abs(difference) / error, len(first.replicates) - 1))


def _jackknife_error(replicates: np.ndarray) -> float | None:
    count = len(replicates)
    return float(np.sqrt((count - 1) * np.var(replicates))) if count > 1 else None
