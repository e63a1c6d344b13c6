"""One clustering with everything that is reported about it."""

from dataclasses import dataclass

import numpy as np

from facegan.clusters.kmeans import Clusters, k_means
from facegan.clusters.scores import (
    Association,
    Coverage,
    associations,
    coverage,
    most_typical,
    scores,
)
from facegan.clusters.settings import ClusterSettings
from facegan.data.labels import Labels


@dataclass(frozen=True)
class Result:
    """One clustering of some images, with everything that is read from it."""

    clusters: Clusters
    points: np.ndarray
    labels: Labels
    scores: dict[str, float]
    associations: list[Association]
    generated: np.ndarray  # the cluster of each generated image; may be empty
    coverage: Coverage | None

    def typical(self, cluster: int) -> list[str]:
        """``["Smiling x1.6", "Blond_Hair x1.4"]``; empty where nothing is typical."""
        return [str(found) for found in most_typical(self.associations, cluster)]


def analyse(
    points: np.ndarray,
    labels: Labels,
    settings: ClusterSettings,
    previous: np.ndarray | None = None,
    generated: np.ndarray | None = None,
) -> Result:
    """Cluster ``points`` (N, c) and score the clusters.

    ``previous``: assignments (N,) to go on from. ``generated``: points (M, c) of generated images.
    """
    clusters = k_means(points, settings.k, previous, settings.seed)
    values = scores(points, clusters, labels, previous, settings.seed)
    fallen, covered = np.zeros(0, np.int64), None
    if generated is not None and len(generated):
        fallen = clusters.assign(generated)
        covered = coverage(clusters.sizes, np.bincount(fallen, minlength=clusters.k))
        values |= covered.scores()
    found = associations(clusters, labels)
    return Result(clusters, points, labels, values, found, fallen, covered)
