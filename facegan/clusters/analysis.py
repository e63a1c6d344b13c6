"""A clustering with its scores, typical attributes and coverage by generated images."""

from dataclasses import dataclass

import numpy as np

from facegan.clusters.kmeans import Clustering, k_means
from facegan.clusters.names import cluster_names
from facegan.clusters.scores import (
    Association,
    Coverage,
    associations,
    coverage,
    most_typical,
    scores,
)
from facegan.clusters.selection import Selection
from facegan.data.labels import Labels


@dataclass(frozen=True)
class Analysis:
    """A clustering of real images and everything that is reported about it.

    Attributes:
        clusters: of the real images.
        names: of the clusters, see :func:`facegan.clusters.names.cluster_names`.
        points: (N, c), the clustered points.
        images: in words, which images these are.
        labels: (N, L), of the real images.
        scores: see :func:`facegan.clusters.scores.scores`.
        associations: of every cluster with every attribute.
        generated: (M,) nearest cluster of each generated image; may be empty.
        coverage: real against generated images; ``None`` without generated images.
    """

    clusters: Clustering
    names: list[str]
    points: np.ndarray
    images: str
    labels: Labels
    scores: dict[str, float]
    associations: list[Association]
    generated: np.ndarray
    coverage: Coverage | None

    def title(self, cluster: int) -> str:
        """Number and name of a cluster: ``"3: Smiling, not Male"``."""
        return f"{cluster}: {self.names[cluster]}" if self.names[cluster] else str(cluster)

    def typical(self, cluster: int) -> list[str]:
        """Over-represented attributes: ``["Smiling x1.6", "Blond_Hair x1.4"]``; may be empty."""
        return [str(found) for found in most_typical(self.associations, cluster)]


def analyse(
    points: np.ndarray,
    selection: Selection,
    seed: int = 0,
    previous: np.ndarray | None = None,
    generated: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> Analysis:
    """Cluster ``points`` (N, c) of the selected images and score the clusters.

    ``previous``: assignments (N,) of an earlier clustering, to start from unless there is a
    ``start``, and to compare with. ``generated``: points (M, c) of generated images.
    """
    labels = selection.labels
    clusters = k_means(points, selection.k, previous if start is None else start, seed)
    values = scores(points, clusters, labels, previous, seed)
    assigned, covered = np.zeros(0, np.int64), None
    if generated is not None and len(generated):
        assigned = clusters.assign(generated)
        covered = coverage(clusters.sizes, np.bincount(assigned, minlength=clusters.k))
        values |= covered.scores()
    found = associations(clusters, labels)
    return Analysis(
        clusters=clusters,
        names=cluster_names(clusters, labels),
        points=points,
        images=selection.description(),
        labels=labels,
        scores=values,
        associations=found,
        generated=assigned,
        coverage=covered,
    )
