"""How good clusters are, what they agree with, and where generated images fall."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import false_discovery_control, hypergeom, norm
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.metrics.cluster import contingency_matrix

from facegan.clusters.kmeans import Clusters
from facegan.data.labels import Labels
from facegan.errors import InputError

SILHOUETTE_SAMPLE = 2000
SIGNIFICANT = 0.05


def scores(
    points: np.ndarray,
    clusters: Clusters,
    labels: Labels | None = None,
    previous: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Numbers that say how good and how stable the clusters are, and what they agree with.

    ``inertia``; ``silhouette`` in [-1, 1] (Rousseeuw 1987, of a sample; nan for one cluster);
    per label ``nmi`` in [0, 1], ``ari`` (0: chance, 1: the same) and ``purity``; ``nmi/mean``;
    ``stability``: ARI with the ``previous`` assignments; ``share/N`` of the images per cluster.
    """
    found = clusters.assignments
    values = {"inertia": clusters.inertia, "silhouette": _silhouette(points, found, seed)}
    columns = labels.columns() if labels is not None else []
    for name, column in columns:
        values[f"nmi/{name}"] = float(normalized_mutual_info_score(column, found))
        values[f"ari/{name}"] = float(adjusted_rand_score(column, found))
        values[f"purity/{name}"] = purity(column, found)
    single = [values[f"nmi/{name}"] for name, _ in columns if name != "combination"]
    if len(single) > 1:
        values["nmi/mean"] = float(np.mean(single))
    if previous is not None:
        values["stability"] = float(adjusted_rand_score(previous, found))
    for number, size in enumerate(clusters.sizes):
        values[f"share/{number}"] = float(size / len(found))
    return values


def _silhouette(points: np.ndarray, found: np.ndarray, seed: int) -> float:
    if len(points) > SILHOUETTE_SAMPLE:
        sample = np.random.default_rng(seed).choice(len(points), SILHOUETTE_SAMPLE, replace=False)
        points, found = points[sample], found[sample]
    if not 1 < len(np.unique(found)) < len(found):
        return float("nan")
    return float(silhouette_score(points, found))


def purity(labels: np.ndarray, assignments: np.ndarray) -> float:
    """Share of images that have the commonest label of their cluster."""
    return float(contingency_matrix(labels, assignments).max(0).sum() / len(labels))


@dataclass(frozen=True)
class Association:
    """How common an attribute is in a cluster, against all images.

    ``lift`` is ``prevalence / overall``; ``p`` that of the two-sided exact test of a cluster drawn
    by chance, adjusted for the number of tests (Benjamini & Hochberg 1995).
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


def associations(clusters: Clusters, labels: Labels) -> list[Association]:
    """One for each cluster and attribute that some but not all images have."""
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
    """The attributes most over-represented in a cluster, as far as that is significant."""
    typical = [a for a in found if a.cluster == cluster and a.lift > 1 and a.p < SIGNIFICANT]
    return sorted(typical, key=lambda a: -a.lift)[:at_most]


@dataclass(frozen=True)
class Coverage:
    """Generated images in the clusters of real ones (Richardson & Weiss 2018, arXiv:1805.12462).

    Attributes:
        real, generated: share of the images per cluster (k,).
        ndb: number of clusters whose two shares differ significantly (two-proportion z-test at
            0.05, uncorrected, as in the paper).
        js: Jensen-Shannon divergence of the shares, in nats: 0 the same, log 2 disjoint.
        unvisited: clusters without a generated image where chance alone would bring some.
    """

    real: np.ndarray
    generated: np.ndarray
    ndb: int
    js: float
    unvisited: list[int]

    def scores(self) -> dict[str, float]:
        """As metrics."""
        values = {"ndb": float(self.ndb), "ndb_share": self.ndb / len(self.real), "js": self.js}
        values |= {f"generated_share/{i}": float(v) for i, v in enumerate(self.generated)}
        return values


def coverage(real_counts: np.ndarray, generated_counts: np.ndarray) -> Coverage:
    """Compare how many real and how many generated images are in each cluster (k,)."""
    n, m = real_counts.sum(), generated_counts.sum()
    if not (n and m):
        raise InputError("There is nothing to compare: no real or no generated images.")
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
