from typing import Any

import numpy as np
import pytest

from facegan.clusters.points import read_points
from facegan.clusters.selection import select
from facegan.clusters.settings import ClusterSettings
from facegan.data.labels import Labels
from facegan.data.sources.synthetic import Synthetic
from facegan.gan.gan import GAN
from tests.clusters.planted import selected


def test_classes_are_no_quantities():
    labels = Labels(np.array([[0], [2], [1], [2]]), ["digit"])
    none: Any = None  # attributes need neither data nor a network
    settings = ClusterSettings(space="attributes")
    points = read_points(settings, none, none, selected(labels, 3)).real
    assert points.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("space", ["features", "pixels"])
def test_real_and_generated_images_are_points_of_one_space(gan: GAN, data: Synthetic, space: str):
    settings = ClusterSettings(space=space, n=30, generated=7, components=5)
    points = read_points(settings, data, gan, select(data, settings))
    assert points.real.shape == (30, 5)
    assert points.generated.shape == (7, 5)
    assert points.images_of is not None
    assert points.images_of(np.array([6, 0])).shape == (2, 3, 16, 16)
    assert (points.network is None) == (space == "pixels")
