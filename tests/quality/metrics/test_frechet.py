"""Fréchet distance, against closed forms."""

import numpy as np
import pytest
import torch

from facegan.errors import InputError
from facegan.quality.metrics.frechet import frechet_distance, merge, moments
from tests.quality.metrics import normal


def test_moments_of_a_stream_are_those_of_the_whole():
    points = normal(500, 6) * 3 + 1e3
    streamed = moments(points.split(77))
    assert streamed.count == 500
    assert torch.allclose(streamed.mean, points.double().mean(0))
    assert torch.allclose(streamed.covariance, torch.cov(points.double().T), rtol=1e-6)


def test_frechet_distance_of_known_gaussians():
    # Diagonal covariances: |m|^2 + sum (s - t)^2. Whitened, so that the sample has them exactly.
    points = normal(1000, 4).double()
    points -= points.mean(0)
    points = points @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(points.T))).T
    s, t = torch.tensor([1.0, 2.0, 3.0, 0.5]), torch.tensor([2.0, 2.0, 1.0, 0.5])
    shift = torch.tensor([1.0, 0.0, -2.0, 0.0])
    got = frechet_distance(moments([points * s]), moments([points * t + shift]))
    assert got == pytest.approx(5 + 1 + 4, rel=1e-9)


def test_frechet_distance_agrees_with_the_general_formula():
    from scipy.linalg import sqrtm

    mix = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    a, b = moments([normal(300, 5)]), moments([normal(300, 5, 2) @ mix + 0.3])
    root = sqrtm(a.covariance.numpy() @ b.covariance.numpy()).real
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(
        a.covariance.numpy() + b.covariance.numpy() - 2 * root
    )
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-8)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_moments_of_parts_are_those_of_the_whole():
    points = normal(300, 5) + 7
    parts = [moments([part]) for part in points.split([100, 150, 50])]
    whole, merged = moments([points]), merge(parts)
    assert merged.count == 300
    assert torch.allclose(merged.mean, whole.mean)
    assert torch.allclose(merged.covariance, whole.covariance)


def test_too_few_images_for_a_covariance_are_refused():
    few, many = moments([normal(5, 8)]), moments([normal(50, 8)])
    with pytest.raises(InputError, match="8 features from 5 images has a singular covariance"):
        frechet_distance(few, many)
