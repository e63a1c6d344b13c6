"""Quality and stability of clusters, agreement with labels, and coverage by generated images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import false_discovery_control, hypergeom, norm
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.metrics.cluster import contingency_matrix

from facegan.clusters.kmeans import Clustering
from facegan.data.labels import Labels
from facegan.errors import InputError

SILHOUETTE_SAMPLE = 2000  # points: the silhouette takes time quadratic in their number
SIGNIFICANT = 0.05  # level of the tests


def scores(
    points: np.ndarray,
    clusters: Clustering,
    labels: Labels | None = None,
    previous: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Score ``clusters`` of ``points`` (N, c).

    ``inertia``; ``silhouette`` in [-1, 1] (Rousseeuw 1987, of a sample; nan for one cluster);
    per label ``nmi`` in [0, 1], ``ari`` (0: chance, 1: identical) and ``purity``; ``nmi/mean``;
    ``stability``: ARI with the ``previous`` assignments (N,); ``share/I``: of images in cluster I.
    """
    assigned = clusters.assignments
    values = {"inertia": clusters.inertia, "silhouette": _silhouette(points, assigned, seed)}
    columns = labels.columns() if labels is not None else []
    for name, column in columns:
        values[f"nmi/{name}"] = float(normalized_mutual_info_score(column, assigned))
        values[f"ari/{name}"] = float(adjusted_rand_score(column, assigned))
        values[f"purity/{name}"] = purity(column, assigned)
    single = [values[f"nmi/{name}"] for name, _ in columns if name != "combination"]
    if len(single) > 1:
        values["nmi/mean"] = float(np.mean(single))
    if previous is not None:
        values["stability"] = float(adjusted_rand_score(previous, assigned))
    for number, size in enumerate(clusters.sizes):
        values[f"share/{number}"] = float(size / len(assigned))
    return values


def _silhouette(points: np.ndarray, assigned: np.ndarray, seed: int) -> float:
    if len(points) > SILHOUETTE_SAMPLE:
        sample = np.random.default_rng(seed).choice(len(points), SILHOUETTE_SAMPLE, replace=False)
        points, assigned = points[sample], assigned[sample]
    if not 1 < len(np.unique(assigned)) < len(assigned):
        return float("nan")
    return float(silhouette_score(points, assigned))


def purity(labels: np.ndarray, assignments: np.ndarray) -> float:
    """Share of images whose label is the most common one of their cluster."""
    return float(contingency_matrix(labels, assignments).max(0).sum() / len(labels))


@dataclass(frozen=True)
class Association:
    """How common an attribute is in one cluster, compared with all images.

    Attributes:
        cluster, size: number of the cluster, and of its images.
        count, prevalence: number and share of its images with the attribute.
        overall: share of all images with the attribute.
        lift: ``prevalence / overall``.
        p: of a two-sided exact test against a cluster drawn by chance (twice the smaller
            hypergeometric tail), adjusted for the number of tests (Benjamini & Hochberg 1995).
    """

    cluster: int
    size: int
    attribute: str
    count: int
    prevalence: float
    overall: float
    lift: float
    p: float

    def __str__(self) -> str:
        return f"{self.attribute} x{self.lift:.1f}"


def associations(clusters: Clustering, labels: Labels) -> list[Association]:
    """One for each cluster and each attribute that some but not all images have."""
    names, values = labels.binary()
    total = len(values)
    overall = values.sum(0)
    kept = (overall > 0) & (overall < total)
    names = [name for name, keep in zip(names, kept, strict=True) if keep]
    values, overall = values[:, kept], overall[kept]
    if not names:
        return []
    sizes = clusters.sizes[:, None]
    counts = np.zeros((clusters.k, len(names)), np.int64)
    np.add.at(counts, clusters.assignments, values)
    fewer = hypergeom.cdf(counts, total, overall[None], sizes)
    more = hypergeom.sf(counts - 1, total, overall[None], sizes)
    p = np.clip(2 * np.minimum(fewer, more), 0, 1)
    p = false_discovery_control(p.ravel()).reshape(p.shape)
    return [
        Association(
            cluster=number,
            size=int(sizes[number, 0]),
            attribute=name,
            count=int(counts[number, i]),
            prevalence=float(counts[number, i] / max(1, sizes[number, 0])),
            overall=float(overall[i] / total),
            lift=float(counts[number, i] * total / (max(1, sizes[number, 0]) * overall[i])),
            p=float(p[number, i]),
        )
        for number in range(clusters.k)
        for i, name in enumerate(names)
    ]


def most_typical(found: Sequence[Association], cluster: int, at_most: int = 3) -> list[Association]:
    """The attributes with the highest lift in a cluster, of those that are significant."""
    typical = [a for a in found if a.cluster == cluster and a.lift > 1 and a.p < SIGNIFICANT]
    return sorted(typical, key=lambda a: -a.lift)[:at_most]


@dataclass(frozen=True)
class Coverage:
    """Generated images in the clusters of real ones (Richardson & Weiss 2018, arXiv:1805.12462).

    Attributes:
        real, generated: share of images per cluster (k,).
        ndb: number of clusters whose two shares differ significantly (two-proportion z-test at
            0.05, uncorrected, as in the paper).
        js: Jensen-Shannon divergence of the shares, in nats: 0 for equal, log 2 for disjoint.
        unvisited: clusters without a generated image, significantly fewer than expected.
    """

    real: np.ndarray
    generated: np.ndarray
    ndb: int
    js: float
    unvisited: list[int]

    def scores(self) -> dict[str, float]:
        """The values to log, by name."""
        values = {"ndb": float(self.ndb), "ndb_share": self.ndb / len(self.real), "js": self.js}
        values |= {f"generated_share/{i}": float(v) for i, v in enumerate(self.generated)}
        return values


def coverage(real_counts: np.ndarray, generated_counts: np.ndarray) -> Coverage:
    """Compare the numbers (k,) of real and of generated images per cluster.

    Raises InputError if there are no real or no generated images.
    """
    n, m = real_counts.sum(), generated_counts.sum()
    if not (n and m):
        raise InputError("There are no real or no generated images to compare.")
    p, q = real_counts / n, generated_counts / m
    pooled = (real_counts + generated_counts) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    z = np.divide(np.abs(p - q), error, out=np.zeros(len(p)), where=error > 0)
    different = 2 * norm.sf(z) < SIGNIFICANT
    return Coverage(
        real=p,
        generated=q,
        ndb=int(different.sum()),
        js=float(jensenshannon(p, q) ** 2) if len(p) > 1 else 0.0,
        unvisited=np.flatnonzero(different & (generated_counts == 0)).tolist(),
    )
