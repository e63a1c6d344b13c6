"""How far a metric can be trusted: leave out a tenth of the images at a time (jackknife).

The same for every metric, whatever its formula; and since draws are kept, the difference of two
generators that were given the same latents has an error of its own, mostly smaller than theirs.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import t as student
from torch import Tensor

GROUPS = 10


def groups(count: int) -> list[slice]:
    """Ten runs of ``count`` images, of about equally many."""
    edges = [number * count // GROUPS for number in range(GROUPS + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def draws_of_mean(values: Tensor) -> list[float]:
    """The mean of ``values`` (N,) without each tenth of them; none where there are fewer than ten.

    For a metric that is a mean over images.
    """
    if len(values) < GROUPS:
        return []
    return draws_of_groups([values[part].double().mean() for part in groups(len(values))])


def draws_of_groups(values: Sequence[float | Tensor]) -> list[float]:
    """For a metric that is the mean of its values on ten groups: that without each of them."""
    found = np.array([float(value) for value in values])
    return ((found.sum() - found) / (len(found) - 1)).tolist()


def jackknife_error(draws: Sequence[float]) -> float | None:
    """Standard error from a metric's values with one group left out (Efron & Stein 1981)."""
    if len(draws) < 2:
        return None
    count = len(draws)
    return float(np.sqrt((count - 1) * np.var(draws)))


def p_of_difference(a: Sequence[float], b: Sequence[float], difference: float) -> float | None:
    """Probability of so large a difference, or larger, by the choice of latents alone.

    ``a``, ``b``: draws of both, groups of the same latents left out together. Two-sided t-test.
    """
    if len(a) != len(b):
        return None
    error = jackknife_error([x - y for x, y in zip(a, b, strict=True)])
    if error is None:
        return None
    if error == 0:
        return float(difference == 0)
    return float(2 * student.sf(abs(difference) / error, len(a) - 1))


def margin_of_share(share: np.ndarray, n: int) -> np.ndarray:
    """Half the width of the 95 % interval of shares of ``n`` draws (binomial, by the normal)."""
    return 1.96 * np.sqrt(share * (1 - share) / n)
