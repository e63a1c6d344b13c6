"""k-means on points, what its clusters have to do with labels, and where generated images fall.

Pure functions over numpy arrays: ``points`` (N, c) float, ``assignments`` (N,) the cluster of
each, ``labels`` (N,) or (N, L) integers.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import jensenshannon
from scipy.stats import false_discovery_control, hypergeom, norm
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    pairwise_distances_argmin,
    pairwise_distances_argmin_min,
    silhouette_score,
)
from sklearn.metrics.cluster import contingency_matrix

from facegan.errors import InputError, expect, expect_int, expect_list, expect_one_of, expect_seed
from facegan.features import SPACES

MINI_BATCH_FROM = 50_000  # points; fewer are clustered all at once
RESTARTS = 10  # of k-means++, where there is nothing to start from
SILHOUETTE_SAMPLE = 2000
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Settings:
    """What is clustered, and how (``conf/clustering``).

    Args:
        k: number of clusters.
        space: ``features`` of the discriminator, ``attributes`` (the label columns themselves, the
            classic baseline) or ``pixels``.
        attributes: labels to report and, with ``space=attributes``, to cluster; their combination
            is scored, too. ``None``: all that the data has.
        layers: of the discriminator, numbered from 1 at the image; ``None``: all.
        components: principal components that are kept.
        n: images, drawn once from ``split``; ``None``: all of it.
        split: ``train``, ``val`` or ``test``.
        generated: images that are drawn and assigned, too.
        seed: of the choice of images and of k-means.
    """

    k: int = 10
    space: str = "features"
    attributes: Sequence[str] | None = None
    layers: Sequence[int] | None = None
    components: int = 32
    n: int | None = 4000
    split: str = "train"
    generated: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        expect_int("clustering.k", self.k, 1)
        expect_one_of("clustering.space", self.space, (*SPACES, "attributes"))
        expect_int("clustering.components", self.components, 1)
        if self.n is not None:
            expect_int("clustering.n", self.n, 2)
        expect_one_of("clustering.split", self.split, ("train", "val", "test"))
        expect_int("clustering.generated", self.generated, 0)
        expect_seed("clustering.seed", self.seed)
        expect(
            self.layers is None or self.space == "features",
            f"clustering.layers is for clustering.space=features, not for {self.space}.",
        )


# ---------------------------------------------------------------------- labels


@dataclass(frozen=True)
class Labels:
    """The label columns that are reported: ``values`` (N, L), ``names`` of the columns.

    ``class_names[name]`` says what the values of a column mean, where they are not 0 and 1.
    ``combined``: whether the columns are few and chosen, so that their combination is a label.
    """

    values: np.ndarray
    names: Sequence[str]
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    combined: bool = False

    def columns(self) -> list[tuple[str, np.ndarray]]:
        """Every label (N,) with its name, and the combination of chosen ones."""
        columns = [(name, self.values[:, i]) for i, name in enumerate(self.names)]
        if self.combined and len(columns) > 1:
            columns.append(
                ("combination", np.unique(self.values, axis=0, return_inverse=True)[1].ravel())
            )
        return columns

    def binary(self) -> tuple[list[str], np.ndarray]:
        """Columns of 0 and 1 (N, B) with their names: other labels one column per class."""
        names, columns = [], []
        for i, name in enumerate(self.names):
            values = self.values[:, i]
            if name not in self.class_names and values.max(initial=0) <= 1:
                names.append(name)
                columns.append(values == 1)
                continue
            for value in np.unique(values):
                names.append(f"{name}={self.meaning(name, int(value))}")
                columns.append(values == value)
        count = len(self.values)
        return names, np.stack(columns, 1) if columns else np.zeros((count, 0), bool)

    def meaning(self, name: str, value: int) -> str:
        """What a value of a column is called."""
        meanings = self.class_names.get(name, ())
        return meanings[value] if 0 <= value < len(meanings) else str(value)


def choose_labels(
    key: str,
    chosen: Sequence[str] | None,
    names: Sequence[str],
    values: np.ndarray,
    class_names: Mapping[str, Sequence[str]],
) -> Labels:
    """The columns of ``values`` (N, L) that the setting ``key`` asks for; ``None``: all."""
    if chosen is None:
        return Labels(values, list(names), class_names)
    valid = ", ".join(names)
    expect_list(key, chosen, f"[{', '.join(names[:2])}]")
    expect(len(chosen) > 0, f"{key} is empty: name some, or set it to null for all.")
    expect(bool(names), f"{key} names attributes, but these data have no labels.")
    unknown = [str(name) for name in chosen if name not in names]
    expect(not unknown, f"{key}: these data have no {', '.join(unknown)}; they have: {valid}.")
    unique = list(dict.fromkeys(chosen))
    columns = [list(names).index(name) for name in unique]
    return Labels(values[:, columns], unique, class_names, combined=True)


# ---------------------------------------------------------------------- k-means


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


# ---------------------------------------------------------------------- scores


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


# ---------------------------------------------------------------------- attributes of clusters


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


# ---------------------------------------------------------------------- generated images


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


# ---------------------------------------------------------------------- a map to look at


def embed(points: np.ndarray, seed: int = 0, start: np.ndarray | None = None) -> np.ndarray:
    """A map (N, 2) in which near points stay near: t-SNE (van der Maaten & Hinton 2008).

    ``start``: the map of the same images before, so that one can follow them.
    """
    count = len(points)
    if count < 5 or len(np.unique(points, axis=0)) < 5:  # t-SNE needs neighbours
        flat = np.zeros((count, 2), np.float32)
        flat[:, : min(2, points.shape[1])] = points[:, :2]
        return flat
    if start is not None and start[:, 0].std() < 1e-12:  # nothing could be told apart then
        start = None
    if start is not None:  # at the scale that t-SNE begins with
        start = (start / max(1e-12, float(start[:, 0].std())) * 1e-4).astype(np.float32)
    model = TSNE(
        init="pca"
        if start is None and points.shape[1] > 1
        else "random"
        if start is None
        else start,
        perplexity=min(30, (count - 1) / 3),
        max_iter=500,
        random_state=seed,
    )
    return model.fit_transform(points)


# ---------------------------------------------------------------------- all of it


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
    settings: Settings,
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
