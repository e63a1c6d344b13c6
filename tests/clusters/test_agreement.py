import numpy as np
import pytest

from facegan.clusters.agreement import nmi
from facegan.data.labels import Labels


def test_planted_clusters_agree_with_their_labels_and_not_with_chance():
    rng = np.random.default_rng(0)
    planted = rng.integers(0, 10, 500)
    points = np.eye(10, dtype=np.float32)[planted] + rng.normal(size=(500, 10), scale=0.01)
    labels = Labels(np.stack([planted, rng.integers(0, 2, 500)], 1), ["planted", "chance"])
    found = nmi(points.astype(np.float32), labels)
    assert found["nmi/planted"] == pytest.approx(1)
    assert found["nmi/chance"] < 0.1
    assert set(found) == {"nmi/planted", "nmi/chance", "nmi/mean"}
