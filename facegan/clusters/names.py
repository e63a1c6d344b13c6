"""Names of clusters, as a person would give them: ``Smiling, not Male, Eyeglasses``."""

import numpy as np

from facegan.clusters.kmeans import Clustering
from facegan.data.labels import Labels

MOSTLY = 0.6  # share of a cluster's images that must have what it is named after
ABOVE = 1.2  # times their share of all images
SOME, MUCH_ABOVE = 0.25, 2.0  # the same for what some images have: "some Eyeglasses"
PARTS = 4  # of a name, at most


def cluster_names(clusters: Clustering, labels: Labels) -> list[str]:
    """What most images of each cluster have, and more of them than of all images, of each label.

    Or what some have, and many more than of all images. Of more than ``PARTS`` such labels those
    with the highest lift are named. A cluster without any is "mixed"; one without images, or of
    images without labels, has no name.
    """
    found: list[list[tuple[float, int, str]]] = [[] for _ in range(clusters.k)]
    for number, name in enumerate(labels.names):
        values, column = np.unique(labels.values[:, number], return_inverse=True)
        counts = np.zeros((clusters.k, len(values)), np.int64)
        np.add.at(counts, (clusters.assignments, column), 1)
        overall = counts.sum(0) / counts.sum()
        binary = labels.is_binary(name)
        shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
        for parts, share in zip(found, shares, strict=True):
            order = np.argsort(-share, kind="stable")
            most = 1 if binary or share[order[0]] >= MOSTLY else 2
            chosen = np.sort(order[:most])
            together, lift = share[chosen].sum(), share[chosen].sum() / overall[chosen].sum()
            if together >= MOSTLY and lift >= ABOVE:
                parts.append((lift, number, _title(labels, name, values[chosen])))
            elif binary and share[-1] >= max(SOME, MUCH_ABOVE * overall[-1]):
                parts.append((share[-1] / overall[-1], number, f"some {name}"))
    return [
        _joined(parts, mixed=bool(labels.names and size))
        for parts, size in zip(found, clusters.sizes, strict=True)
    ]


def _title(labels: Labels, name: str, values: np.ndarray) -> str:
    if labels.is_binary(name):
        return name if values[0] else f"not {name}"
    return f"{name} {' or '.join(labels.meaning(name, int(value)) for value in values)}"


def _joined(parts: list[tuple[float, int, str]], mixed: bool) -> str:
    strongest = sorted(parts, key=lambda part: -part[0])[:PARTS]
    in_order = sorted(strongest, key=lambda part: part[1])
    return ", ".join(text for _, _, text in in_order) or ("mixed" if mixed else "")
