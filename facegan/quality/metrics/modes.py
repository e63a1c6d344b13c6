"""Modes covered and reverse KL: how many combinations of stacked digits does a generator draw?"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import binom
from torch import Tensor

from facegan.quality.metrics.uncertainty import GROUPS, Estimate, groups


class Modes(NamedTuple):
    """Two numbers on generated images, as in Unrolled GAN (Metz et al. 2017) and PacGAN (2018).

    Attributes:
        covered: how many of the modes have at least one image.
        reverse_kl: KL divergence of the generated images' modes from those of the data, in nats
            (divided by ln 10 where a paper takes log10).
        ideal_covered, ideal_reverse_kl: what a generator of the data's very distribution has on
            average of so many images.
    """

    covered: Estimate
    reverse_kl: Estimate
    ideal_covered: float
    ideal_reverse_kl: float


def mode_numbers(digits: Tensor) -> Tensor:
    """The number (N,) of each combination of ``digits`` (N, C), of 0 to 9."""
    return (digits.long() * 10 ** torch.arange(digits.shape[1])).sum(1)


def mode_shares(digits: np.ndarray) -> np.ndarray:
    """Share of each mode (10 ** C,) in data whose ``digits`` (N, C) are stacked independently.

    By :func:`mode_numbers`. It is the product of the digits' shares in their channels, which is
    known better than the share of a mode that few images have.
    """
    shares = np.ones(1)
    for column in digits.T:
        counts = np.bincount(column, minlength=10)
        shares = np.outer(counts / counts.sum(), shares).ravel()
    return shares


def modes(numbers: Tensor, shares: np.ndarray) -> Modes:
    """Modes that generated images cover, from their ``numbers`` (N,) and the data's ``shares``.

    Both have jackknife errors, which are rather too large where a mode has few images (Efron &
    Stein 1981); they do not say how many modes more images would show.
    """
    count = len(numbers)
    counts = _counts(numbers, len(shares))
    parts = [_counts(numbers[group], len(shares)) for group in groups(count)]
    without = [counts - part for part in parts] if count >= GROUPS else []
    return Modes(
        Estimate(float((counts > 0).sum()), [float((rest > 0).sum()) for rest in without]),
        Estimate(_divergence(counts, shares), [_divergence(rest, shares) for rest in without]),
        float((1 - (1 - shares) ** count).sum()),
        _expected_divergence(count, shares),
    )


def _counts(numbers: Tensor, total: int) -> np.ndarray:
    return np.bincount(numbers.numpy(), minlength=total)


def _divergence(counts: np.ndarray, shares: np.ndarray) -> float:
    seen = counts > 0
    found = counts[seen] / counts.sum()
    with np.errstate(divide="ignore"):  # infinite where the data have no such mode
        return float((found * np.log(found / shares[seen])).sum())


def _expected_divergence(count: int, shares: np.ndarray) -> float:
    """Mean :func:`_divergence` of ``count`` draws from ``shares``: positive, by chance alone."""
    q = shares[shares > 0, None]
    largest = int(binom.isf(1e-12, count, q.max()))
    k = np.arange(1, largest + 1)
    return float((binom.pmf(k, count, q) * k / count * np.log(k / count / q)).sum())
