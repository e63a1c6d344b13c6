import numpy as np
import pytest

from facegan.clusters import kmeans
from facegan.clusters.map import embed
from facegan.clusters.scores import scores
from tests.clusters.planted import blobs, labels


@pytest.mark.parametrize("n", [1, 3, 40])
def test_maps_have_a_place_for_every_point(n: int):
    points = np.random.default_rng(0).normal(size=(n, 1 if n < 4 else 5)).astype(np.float32)
    layout = embed(points)
    assert layout.shape == (n, 2)
    assert np.isfinite(layout).all()
    assert embed(points, start=layout).shape == (n, 2)


def test_a_map_keeps_blobs_apart():
    points, truth = blobs(120, 3)
    layout = embed(points)
    found = kmeans.k_means(layout, 3)
    assert scores(layout, found, labels(truth))["nmi/blob"] > 0.9
