import numpy as np
import pytest

from facegan.clusters import kmeans
from facegan.clusters.kmeans import Clustering
from facegan.clusters.scores import scores
from facegan.errors import InputError
from tests.clusters.planted import blobs, labels


def test_planted_blobs_are_found():
    points, truth = blobs()
    found = kmeans.k_means(points, 4)
    values = scores(points, found, labels(truth))
    assert values["nmi/blob"] == values["ari/blob"] == values["purity/blob"] == pytest.approx(1)
    assert values["silhouette"] > 0.8
    assert sum(values[f"share/{i}"] for i in range(4)) == pytest.approx(1)
    assert np.array_equal(found.assign(points), found.assignments)


def test_many_points_are_clustered_in_mini_batches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kmeans, "MINI_BATCH_FROM", 100)
    points, truth = blobs()
    found = kmeans.k_means(points, 4)
    assert scores(points, found, labels(truth))["nmi/blob"] == pytest.approx(1)


@pytest.mark.parametrize("previous", [None, np.zeros(6, np.int64)])
def test_more_clusters_than_distinct_points(previous: np.ndarray | None):
    points = np.repeat(np.eye(3), 2, axis=0)
    found = kmeans.k_means(points, 10, previous)
    assert found.k == 3
    assert sorted(found.sizes) == [2, 2, 2]


@pytest.mark.parametrize("previous", [None, np.array([5, 5, 5, 5])])
def test_identical_points_are_one_cluster(previous: np.ndarray | None):
    found = kmeans.k_means(np.ones((4, 3)), 8, previous)
    assert found.k == 1
    values = scores(np.ones((4, 3)), found, labels(np.arange(4) % 2))
    assert values["nmi/blob"] == 0
    assert np.isnan(values["silhouette"])


def test_one_point_is_one_cluster():
    assert kmeans.k_means(np.ones((1, 2)), 3).k == 1


def test_a_warm_start_keeps_the_numbers_when_the_space_is_rotated():
    points, _ = blobs()
    first = kmeans.k_means(points, 4)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    second = kmeans.k_means(5 * points @ turn, 4, first.assignments)
    assert np.array_equal(first.assignments, second.assignments)
    assert scores(points, second, previous=first.assignments)["stability"] == 1


def test_an_empty_cluster_restarts_at_the_farthest_point():
    points, truth = blobs()
    previous = np.where(truth == 3, 0, truth)  # cluster 3 has lost its points
    found = kmeans.k_means(points, 4, previous)
    assert scores(points, found, labels(truth))["nmi/blob"] == pytest.approx(1)


def test_alignment_undoes_a_permutation_of_the_numbers():
    points, truth = blobs()
    renumbered = np.array([2, 0, 3, 1])[truth]
    centroids = np.stack([points[renumbered == i].mean(0) for i in range(4)])
    aligned = kmeans.align(Clustering(centroids, renumbered, 0.0), truth)
    assert np.array_equal(aligned.assignments, truth)
    assert np.allclose(aligned.centroids[1], points[truth == 1].mean(0), atol=1e-5)


def test_non_finite_points_are_refused():
    with pytest.raises(InputError, match="non-finite"):
        kmeans.k_means(np.array([[np.nan, 1.0]]), 2)
