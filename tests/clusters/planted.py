"""Points with known clusters."""

import numpy as np
from sklearn.datasets import make_blobs

from facegan.data.labels import Labels


def blobs(n: int = 300, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    points, truth = make_blobs(n, 6, centers=k, cluster_std=0.3, random_state=seed)
    return points.astype(np.float32), truth


def labels(values: np.ndarray, *names: str, combined: bool = False) -> Labels:
    values = values.reshape(len(values), -1)
    return Labels(values, names or ["blob"], combined=combined)
