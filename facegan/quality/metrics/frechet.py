"""Fréchet distance of two Gaussians (Heusel et al. 2017): with Inception features, the FID."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from facegan.errors import InputError


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and covariance (d, d) of ``count`` vectors, float64."""

    count: int
    mean: Tensor
    covariance: Tensor

    @cached_property
    def root(self) -> Tensor:
        """The symmetric square root of the covariance (d, d)."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def moments(chunks: Iterable[Tensor]) -> Moments:
    """Mean and covariance of a stream of vectors (n, d), accumulated in float64."""
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        values = chunk.to("cpu", torch.float64)
        if count == 0:  # shifted by roughly the mean: smaller sums round less
            shift = values.mean(0)
        values = values - shift
        total = total + values.sum(0)
        products = products + values.T @ values
        count += len(values)
    if count < 2:
        raise InputError("A covariance needs two vectors or more.")
    mean = total / count
    covariance = (products - count * torch.outer(mean, mean)) / (count - 1)
    return Moments(count, mean + shift, covariance)


def merge(parts: Sequence[Moments]) -> Moments:
    """The moments of all vectors of ``parts``, without these vectors (Chan et al. 1979)."""
    count = sum(part.count for part in parts)
    mean = torch.stack([part.count * part.mean for part in parts]).sum(0) / count
    scatter = torch.zeros_like(parts[0].covariance)
    for part in parts:
        gap = part.mean - mean
        scatter += (part.count - 1) * part.covariance + part.count * torch.outer(gap, gap)
    return Moments(count, mean, scatter / (count - 1))


def frechet_distance(a: Moments, b: Moments) -> float:
    """``|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2))``; 0 for the same distribution.

    Raises InputError where there are no more vectors than dimensions: the covariance is singular
    then, and the distance mostly reflects the number of vectors.
    """
    expect_nonsingular(min(a.count, b.count), len(a.mean))
    # The trace of (A B)^(1/2) is that of (A^(1/2) B A^(1/2))^(1/2), which is symmetric.
    cross = torch.linalg.eigvalsh(a.root @ b.covariance @ a.root).clamp_min(0).sqrt().sum()
    traces = a.covariance.trace() + b.covariance.trace()
    return float((a.mean - b.mean).square().sum() + traces - 2 * cross)


def expect_nonsingular(images: int, size: int) -> None:
    """Raise InputError if ``images`` are too few for a covariance of ``size`` features."""
    if images <= size:
        raise InputError(
            f"A Fréchet distance of {size} features from {images} images has a singular covariance:"
            f" use more than {size} images, or an extractor with fewer features."
        )
