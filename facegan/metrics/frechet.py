"""Fréchet distance of two Gaussians (Heusel et al. 2017): with Inception features, the FID."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from facegan.errors import expect


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and covariance (d, d) of ``count`` vectors, float64."""

    count: int
    mean: Tensor
    covariance: Tensor


def moments(chunks: Iterable[Tensor]) -> Moments:
    """Of a stream of vectors (n, d), none of which is kept."""
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for chunk in chunks:
        values = chunk.to("cpu", torch.float64)
        if count == 0:  # sums of small numbers lose less: shift by something near the mean
            shift = values.mean(0)
        values = values - shift
        total = total + values.sum(0)
        products = products + values.T @ values
        count += len(values)
    expect(count > 1, "A covariance needs two vectors or more.")
    mean = total / count
    covariance = (products - count * torch.outer(mean, mean)) / (count - 1)
    return Moments(count, mean + shift, covariance)


def frechet_distance(a: Moments, b: Moments, allow_singular: bool = False) -> float:
    """``|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2))``; 0 for the same distribution.

    Raises InputError where there are no more vectors than dimensions, since the covariance is
    singular then and the distance mostly says how few there are; ``allow_singular``: not.
    """
    size = len(a.mean)
    fewest = min(a.count, b.count)
    expect(
        allow_singular or fewest > size,
        f"A Fréchet distance of {size} features from {fewest} images has a singular covariance: "
        f"use more than {size} images, or an extractor with fewer features.",
    )
    # The trace of (A B)^(1/2) is that of (A^(1/2) B A^(1/2))^(1/2), which is symmetric.
    values, vectors = torch.linalg.eigh(a.covariance)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp_min(0).sqrt().sum()
    traces = a.covariance.trace() + b.covariance.trace()
    return float((a.mean - b.mean).square().sum() + traces - 2 * cross)
