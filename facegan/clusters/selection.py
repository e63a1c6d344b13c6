"""Which images are clustered, which ones probes are fitted to, and how many clusters there are."""

import logging
from dataclasses import dataclass

import numpy as np

from facegan.clusters.settings import USUAL_K, ClusterSettings
from facegan.data.labels import Labels, choose_labels
from facegan.data.module import ImageDataModule
from facegan.errors import InputError

log = logging.getLogger(__name__)

MOST_FITTED = 8000  # images that probes are fitted to
FREQUENT = 0.005  # share of images from which a combination of attributes counts as frequent
MOST_CLUSTERS = 20  # that attributes need


@dataclass(frozen=True)
class Selection:
    """The images of one clustering.

    Attributes:
        rows: of the store (N,), to be clustered and to measure agreement on.
        labels: (N, L), the chosen labels of these images.
        fitted: rows of training images (M,) that probes are fitted to, none of them in ``rows``;
            empty unless ``clustering.space`` is probe.
        fitted_labels: their labels, without those that are the same for all of them.
        split: where ``rows`` come from.
        k: number of clusters to find.
    """

    rows: np.ndarray
    labels: Labels
    fitted: np.ndarray
    fitted_labels: Labels
    split: str
    k: int

    def description(self) -> str:
        """Which images the scores are of, for reports."""
        text = f"{len(self.rows):,} {self.split} images"
        if not len(self.fitted):
            return text
        return f"{text}, none of the {len(self.fitted):,} that the probes were fitted to"


def select(data: ImageDataModule, settings: ClusterSettings) -> Selection:
    """Choose the images and labels of a clustering of ``data``.

    Raises InputError for unknown labels, where labels are needed and there are none, and where all
    images that probes are to be fitted to have the same ones. A label that these images share has
    no probe, with a warning.
    """
    split, rows, fitted = _rows(data, settings)
    labels, fitted_labels = (_labels(data, chosen, settings) for chosen in (rows, fitted))
    if settings.clustered in ("attributes", "probe") and not labels.names:
        raise InputError(
            f"clustering.space={settings.clustered} needs labels, and {data.name} has none: "
            "use clustering.space=features."
        )
    if len(fitted):
        fitted_labels = _varying(fitted_labels)
    k = settings.k
    if k is None and not labels.combined:
        k = USUAL_K
    elif k is None:
        needed = frequent((fitted_labels if len(fitted) else labels).values)
        k = min(MOST_CLUSTERS, max(2, len(needed))) if len(needed) else MOST_CLUSTERS
    return Selection(rows, labels, fitted, fitted_labels, split, k)


def _rows(data: ImageDataModule, settings: ClusterSettings) -> tuple[str, np.ndarray, np.ndarray]:
    """The split to cluster, the rows of it, and the rows to fit probes to."""
    n, seed = settings.n, settings.seed
    if settings.clustered != "probe":
        split = settings.split or "train"
        return split, data.subset(split, n, seed), np.zeros(0, np.int64)
    train = data.subset("train", seed=seed)
    split = settings.split or ("val" if len(data.store.rows("val")) else "train")
    if split == "train":
        fitted = train[: min(MOST_FITTED, (n or len(train)) // 2, len(train) // 2)]
        return split, train[len(fitted) :][: n and n - len(fitted)], fitted
    rows = data.subset(split, n and n // 2, seed)
    return split, rows, train[: min(MOST_FITTED, n - len(rows) if n else MOST_FITTED)]


def _labels(data: ImageDataModule, rows: np.ndarray, settings: ClusterSettings) -> Labels:
    store = data.store
    values = store.labels[rows].astype(np.int64)
    names, chosen = store.label_names, settings.attributes
    return choose_labels("clustering.attributes", chosen, names, values, store.class_names)


def _varying(labels: Labels) -> Labels:
    """The labels of which not all images have the same value."""
    varying = (labels.values != labels.values[:1]).any(0)
    names = [name for name, kept in zip(labels.names, varying, strict=True) if kept]
    if constant := [name for name in labels.names if name not in names]:
        same = f"All {len(labels.values):,} labelled images have the same {', '.join(constant)}"
        if not names:
            raise InputError(
                f"{same}: choose other clustering.attributes, raise clustering.n, or set "
                "clustering.space=features."
            )
        log.warning("%s: no probe can be fitted to that.", same)
    return Labels(labels.values[:, varying], names, labels.class_names, labels.combined)


def frequent(values: np.ndarray) -> np.ndarray:
    """The different rows of ``values`` (N, L) that hold half a percent of them or more.

    The most frequent first; none where these are fewer than half of all: nearly every image then
    has a combination of its own.
    """
    rows, counts = np.unique(values, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = order[counts[order] >= FREQUENT * len(values)]
    return rows[kept] if counts[kept].sum() >= len(values) / 2 else rows[:0]
