"""How well the usual clusters of points agree with labels."""

import numpy as np

from facegan.clusters.kmeans import k_means
from facegan.clusters.scores import scores
from facegan.clusters.settings import USUAL_COMPONENTS, USUAL_K
from facegan.data.labels import Labels


def nmi(points: np.ndarray, labels: Labels, seed: int = 0) -> dict[str, float]:
    """NMI in [0, 1] of k-means' clusters with each label, as ``nmi/LABEL``, and their mean.

    ``points``: principal components (N, c), the largest first; as many as a clustering keeps by
    default are whitened and clustered.
    """
    white = points[:, :USUAL_COMPONENTS]
    white = (white - white.mean(0)) / white.std(0).clip(min=1e-12)
    found = scores(white, k_means(white, USUAL_K, seed=seed), labels, seed=seed)
    return {name: value for name, value in found.items() if name.startswith("nmi/")}
