"""Kernel distance (Bińkowski et al. 2018): with Inception features, the KID. Unbiased."""

import numpy as np
import torch
from torch import Tensor

from facegan.errors import InputError
from facegan.quality.metrics.uncertainty import GROUPS, Estimate, group_numbers


def kernel_distance(
    real: Tensor, generated: Tensor, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> tuple[Estimate, float]:
    """Mean and standard deviation of the squared MMD over ``subsets`` random subsets.

    Vectors are (N, d) and (M, d), of each of which a subset has ``size``; the kernel is
    ``(x . y / d + 1)^3``. Subsets are drawn as in torch-fidelity: the same features and seed give
    the same value. Raises InputError where there are fewer than ``size`` vectors.
    """
    expect_subset_fits(min(len(real), len(generated)), size)
    rng = np.random.RandomState(seed)  # as in torch-fidelity
    group = group_numbers(len(generated))
    found = []
    for _ in range(subsets):
        x = real[rng.choice(len(real), size, replace=False)]
        chosen = rng.choice(len(generated), size, replace=False)
        found.append(_squared_mmds(x, generated[chosen], group[chosen]))
    distances = torch.stack(found)
    value, *replicates = distances.mean(0).tolist()
    # A small subset without one of the tenths may have too few images left.
    estimate = Estimate(value, replicates if size >= 2 * GROUPS else ())
    return estimate, float(distances[:, 0].std(correction=0))


def expect_subset_fits(images: int, size: int, key: str = "kid_subset_size") -> None:
    """Raise InputError if ``images`` are fewer than ``size``, the value of ``key``."""
    if images < 2:
        raise InputError(
            "A kernel distance takes two images of each kind, or more: leave kd out of the metrics."
        )
    if images < size:
        raise InputError(
            f"A kernel distance on subsets of {size} needs as many images, not {images}: "
            f"set {key}={images} or less."
        )


def _squared_mmds(x: Tensor, y: Tensor, group: Tensor) -> Tensor:
    """The squared MMD (1 + GROUPS,): with all of ``y``, and without each group of it."""
    x, y = x.double(), y.double()
    member = torch.nn.functional.one_hot(group.long(), GROUPS).double()  # (m, GROUPS)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    within_x = kernel(x, x).fill_diagonal_(0).sum() / (len(x) * (len(x) - 1))
    pairs = member.T @ kernel(y, y).fill_diagonal_(0) @ member  # sums, by both images' groups
    across = kernel(x, y).sum(0) @ member
    none = torch.zeros(1, dtype=torch.double)
    left = len(y) - torch.cat([none, member.sum(0)])
    within = pairs.sum() - torch.cat([none, pairs.sum(0) + pairs.sum(1) - pairs.diagonal()])
    between = across.sum() - torch.cat([none, across])
    within_y = within / (left * (left - 1)).clamp_min(1)
    return within_x + within_y - 2 * between / (len(x) * left).clamp_min(1)
