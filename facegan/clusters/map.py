"""A two-dimensional map of points."""

import numpy as np
from sklearn.manifold import TSNE


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
