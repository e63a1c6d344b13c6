"""k-means whose clusters keep their numbers from one call to the next."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin, pairwise_distances_argmin_min

from facegan.errors import InputError

MINI_BATCH_FROM = 50_000  # more points than this are clustered in mini-batches
MINI_BATCH = 4096  # points per mini-batch
RESTARTS = 10  # of k-means++; the run with the smallest inertia is kept


@dataclass(frozen=True)
class Clustering:
    """``centroids`` (k, c), ``assignments`` (N,), ``inertia``: the sum of squared distances."""

    centroids: np.ndarray
    assignments: np.ndarray
    inertia: float

    @property
    def k(self) -> int:
        return len(self.centroids)

    @property
    def sizes(self) -> np.ndarray:
        """Number of points per cluster (k,)."""
        return np.bincount(self.assignments, minlength=self.k)

    def assign(self, points: np.ndarray) -> np.ndarray:
        """The nearest centroid (M,) of each of ``points`` (M, c)."""
        return pairwise_distances_argmin(points, self.centroids.astype(points.dtype))

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Distance (N,) of each of the clustered ``points`` (N, c) to its centroid."""
        return np.linalg.norm(points - self.centroids[self.assignments], axis=1)


def k_means(
    points: np.ndarray, k: int, previous: np.ndarray | None = None, seed: int = 0
) -> Clustering:
    """Cluster ``points`` (N, c) into ``k`` clusters, or into fewer where fewer points differ.

    ``previous``: assignments (N,) of the same images to start from, even if the points have moved
    since. Clusters keep their numbers; an empty one restarts at the point farthest from all
    centroids. More than ``MINI_BATCH_FROM`` points are clustered in mini-batches (Sculley 2010).

    Raises InputError if there are no points or if any is not finite.
    """
    points = np.ascontiguousarray(points, np.float32)
    if not len(points):
        raise InputError("There are no images to cluster.")
    if not np.isfinite(points).all():
        raise InputError("There are non-finite features: they cannot be clustered.")
    k = min(k, len(np.unique(points, axis=0)))
    options = {"init": "k-means++", "n_init": RESTARTS, "random_state": seed}
    if previous is not None:
        options |= {"init": _means(points, previous, k), "n_init": 1}
    if len(points) > MINI_BATCH_FROM:
        model = MiniBatchKMeans(k, batch_size=MINI_BATCH, **options)
    else:
        model = KMeans(k, **options)
    with warnings.catch_warnings():
        # Points that differ by rounding alone can end in fewer clusters than k.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    found = Clustering(
        model.cluster_centers_, model.labels_.astype(np.int64), float(model.inertia_)
    )
    return found if previous is None else align(found, previous)


def _means(points: np.ndarray, assignments: np.ndarray, k: int) -> np.ndarray:
    """Mean (k, c) of each cluster's points; the farthest points for clusters without any."""
    centroids = np.zeros((k, points.shape[1]), points.dtype)
    filled = [number for number in range(k) if (assignments == number).any()]
    for number in filled:
        centroids[number] = points[assignments == number].mean(0)
    for number in sorted(set(range(k)) - set(filled)):
        others = centroids[filled] if filled else points.mean(0, keepdims=True)
        distances = pairwise_distances_argmin_min(points, others)[1]  # in bounded memory
        centroids[number] = points[distances.argmax()]
        filled.append(number)
    return centroids


def assigned(points: np.ndarray, centroids: np.ndarray) -> Clustering:
    """``points`` (N, c) assigned to given ``centroids`` (k, c)."""
    numbers, distances = pairwise_distances_argmin_min(points, centroids.astype(points.dtype))
    return Clustering(centroids, numbers, float((distances**2).sum()))


def align(clusters: Clustering, previous: np.ndarray) -> Clustering:
    """Renumber clusters so that most points keep their ``previous`` number (N,) (Kuhn 1955)."""
    k = clusters.k
    overlap = np.zeros((k, k), np.int64)  # new x previous
    kept = previous < k
    np.add.at(overlap, (clusters.assignments[kept], previous[kept]), 1)
    _, numbers = linear_sum_assignment(overlap, maximize=True)
    centroids = np.empty_like(clusters.centroids)
    centroids[numbers] = clusters.centroids
    return Clustering(centroids, numbers[clusters.assignments], clusters.inertia)
