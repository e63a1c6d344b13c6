import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from facegan.errors import InputError
from facegan.features.reduction import fit_reduction, reduce


def vectors(count: int = 200, size: int = 30) -> Tensor:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(count, 5)) @ rng.normal(size=(5, size)) * 3 + 7
    return torch.tensor(mixed + 0.01 * rng.normal(size=(count, size)), dtype=torch.float32)


@pytest.mark.parametrize("count", [30, 200])  # exact, and randomised
def test_points_are_white_and_agree_with_scikit_learn(count: int):
    data = vectors(count)
    reduction, points = fit_reduction(data.clone(), 4)
    assert torch.allclose(torch.cov(points.T), torch.eye(4), atol=1e-3)
    expected = PCA(4, whiten=True).fit_transform(StandardScaler().fit_transform(data.numpy()))
    for ours, theirs in zip(points.T.numpy(), expected.T, strict=True):
        assert abs(np.corrcoef(ours, theirs)[0, 1]) > 0.9999
    assert torch.allclose(reduction(data), points, atol=1e-3)


def test_only_directions_that_vary_are_kept():
    data = torch.zeros(20, 6)
    data[:, 2] = torch.arange(20.0)
    reduction, points = fit_reduction(data.clone(), 4)
    assert points.shape == (20, 1)
    assert reduction(data).isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_identical_vectors_become_one_point(value: float):
    _, points = fit_reduction(torch.full((50, 7), value), 4)
    assert torch.equal(points, torch.zeros(50, 1))


def test_a_stream_is_reduced_as_a_whole_would_be_and_leaves_the_random_state_alone():
    data = vectors()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    _, points = reduce(data.split(33), len(data), 4, fit_rows=200)
    assert torch.equal(before, torch.get_rng_state())
    _, whole = fit_reduction(data.clone(), 4)
    assert torch.equal(points, whole)
    again, streamed = reduce(data.split(33), len(data), 4, fit_rows=150)
    assert streamed.shape == (200, 4)
    assert torch.allclose(streamed, again(data), atol=1e-3)


@pytest.mark.parametrize("fit_rows", [1, 7, 33, 50, 200, 500])
def test_rows_keep_their_order_wherever_the_fitted_rows_end(fit_rows: int):
    data = vectors()
    reduction, points = reduce(data.split(33), len(data), 4, fit_rows=fit_rows)
    assert torch.allclose(points, reduction(data), atol=1e-2)


@pytest.mark.parametrize("fit_rows", [50, 300])
def test_a_stream_that_ends_early_is_refused(fit_rows: int):
    with pytest.raises(ValueError, match="ended after 200 of 300 rows"):
        reduce(vectors().split(33), 300, 4, fit_rows=fit_rows)


def test_non_finite_vectors_are_refused():
    with pytest.raises(InputError, match="non-finite"):
        fit_reduction(torch.full((3, 2), torch.nan), 1)
