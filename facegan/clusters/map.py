"""A two-dimensional map of points."""

from typing import Any

import numpy as np
from sklearn.manifold import TSNE


def embed(points: np.ndarray, seed: int = 0, start: np.ndarray | None = None) -> np.ndarray:
    """Map ``points`` (N, c) to (N, 2) so that neighbours stay close: t-SNE (van der Maaten 2008).

    ``start``: an earlier map (N, 2) of the same images, from which the layout develops. Fewer than
    five distinct points have too few neighbours for t-SNE: they keep their first two coordinates.
    """
    count = len(points)
    if count < 5 or len(np.unique(points, axis=0)) < 5:
        layout = np.zeros((count, 2), np.float32)
        layout[:, : min(2, points.shape[1])] = points[:, :2]
        return layout
    init: Any = "pca" if points.shape[1] > 1 else "random"
    if start is not None and (spread := float(start[:, 0].std())) >= 1e-12:
        init = (start / spread * 1e-4).astype(np.float32)  # the scale of t-SNE's own initialisation
    perplexity = min(30, (count - 1) / 3)
    model = TSNE(init=init, perplexity=perplexity, max_iter=500, random_state=seed)
    return model.fit_transform(points)
