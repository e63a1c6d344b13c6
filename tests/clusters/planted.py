"""Points with known clusters."""

import numpy as np
from sklearn.datasets import make_blobs

from facegan.clusters.selection import Selection
from facegan.data.labels import Labels


def blobs(n: int = 300, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    points, truth = make_blobs(n, 6, centers=k, cluster_std=0.3, random_state=seed)
    return points.astype(np.float32), truth


def labels(values: np.ndarray, *names: str, combined: bool = False) -> Labels:
    values = values.reshape(len(values), -1)
    return Labels(values, names or ["blob"], combined=combined)


def selected(chosen: Labels, k: int) -> Selection:
    """All images of ``chosen``, to be grouped into k clusters."""
    count = len(chosen.values)
    none = Labels(chosen.values[:0], chosen.names)
    return Selection(np.arange(count), chosen, np.zeros(0, np.int64), none, "train", k)
