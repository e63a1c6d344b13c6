"""k-means on points."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin, pairwise_distances_argmin_min

from facegan.errors import expect

MINI_BATCH_FROM = 50_000  # points; fewer are clustered all at once
RESTARTS = 10  # of k-means++, where there is nothing to start from


@dataclass(frozen=True)
class Clusters:
    """``centroids`` (k, c), ``assignments`` (N,), ``inertia`` the sum of squared distances."""

    centroids: np.ndarray
    assignments: np.ndarray
    inertia: float

    @property
    def k(self) -> int:
        return len(self.centroids)

    @property
    def sizes(self) -> np.ndarray:
        return np.bincount(self.assignments, minlength=self.k)

    def assign(self, points: np.ndarray) -> np.ndarray:
        """The cluster (M,) of each of other ``points`` (M, c)."""
        return pairwise_distances_argmin(points, self.centroids.astype(points.dtype))


def k_means(
    points: np.ndarray, k: int, previous: np.ndarray | None = None, seed: int = 0
) -> Clusters:
    """At most ``k`` clusters of ``points``: fewer where fewer points differ.

    ``previous``: assignments of the same images from which to go on, although the points have
    moved since; the clusters keep their numbers. Clusters that are empty start anew at the points
    farthest from all others. Above ``MINI_BATCH_FROM`` points: in mini-batches (Sculley 2010).
    """
    points = np.ascontiguousarray(points, np.float32)
    expect(len(points) > 0, "There is nothing to cluster: no images.")
    expect(bool(np.isfinite(points).all()), "There are non-finite features: nothing to cluster.")
    k = min(k, len(np.unique(points, axis=0)))
    start: Any = "k-means++" if previous is None else _centroids_of(points, previous, k)
    kind = KMeans if len(points) <= MINI_BATCH_FROM else MiniBatchKMeans
    options = {} if kind is KMeans else {"batch_size": 4096}
    model = kind(
        k, init=start, n_init=RESTARTS if previous is None else 1, random_state=seed, **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than asked for
        model.fit(points)
    found = Clusters(model.cluster_centers_, model.labels_.astype(np.int64), float(model.inertia_))
    return found if previous is None else align(found, previous)


def _centroids_of(points: np.ndarray, previous: np.ndarray, k: int) -> np.ndarray:
    """Means of ``points`` by ``previous`` assignment; farthest points for clusters without any."""
    centroids = np.zeros((k, points.shape[1]), points.dtype)
    empty = []
    for number in range(k):
        members = points[previous == number]
        if len(members):
            centroids[number] = members.mean(0)
        else:
            empty.append(number)
    filled = [number for number in range(k) if number not in empty]
    for number in empty:
        others = centroids[filled] if filled else points.mean(0, keepdims=True)
        gaps = pairwise_distances_argmin_min(points, others)[1]  # in chunks
        centroids[number] = points[gaps.argmax()]
        filled.append(number)
    return centroids


def align(clusters: Clusters, previous: np.ndarray) -> Clusters:
    """The same clusters; as many images as possible keep their ``previous`` number (Kuhn 1955)."""
    k = clusters.k
    overlap = np.zeros((k, k), np.int64)  # new x old
    kept = previous < k
    np.add.at(overlap, (clusters.assignments[kept], previous[kept]), 1)
    _, numbers = linear_sum_assignment(overlap, maximize=True)
    centroids = np.empty_like(clusters.centroids)
    centroids[numbers] = clusters.centroids
    return Clusters(centroids, numbers[clusters.assignments], clusters.inertia)
