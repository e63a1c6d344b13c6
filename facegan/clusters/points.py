"""Images as points to cluster: what the callback and ``facegan.cluster`` share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facegan.clusters.settings import ClusterSettings
from facegan.data.labels import Labels, choose_labels
from facegan.errors import expect
from facegan.features.reading import CALIBRATION_IMAGES, calibrated, reader
from facegan.features.reduction import Reduction, reduce
from facegan.features.stream import Ranks, stream, with_progress
from facegan.gan.latents import sample_latents
from facegan.pictures.scaling import to_uint8
from facegan.seeds import CLUSTERING, mix_seed


def chosen_labels(data: Any, rows: np.ndarray, settings: ClusterSettings) -> Labels:
    """The labels (len(rows), L) of ``clustering.attributes``."""
    store = data.store
    labels = choose_labels(
        "clustering.attributes",
        settings.attributes,
        store.label_names,
        store.labels[rows].astype(np.int64),
        store.class_names,
    )
    expect(
        settings.space != "attributes" or bool(labels.names),
        f"clustering.space=attributes needs labels, and {data.name} has none: "
        "use clustering.space=features.",
    )
    return labels


@dataclass
class Points:
    """Real images (N, c) and generated ones (M, c) as points, and how they became that.

    ``images_of`` shows generated ones by number, uint8. ``reduction`` and ``network`` are ``None``
    where they had no part in it.
    """

    real: np.ndarray
    generated: np.ndarray
    images_of: Callable[[np.ndarray], Tensor] | None = None
    reduction: Reduction | None = None
    network: torch.nn.Module | None = None


def read_points(
    settings: ClusterSettings,
    data: Any,
    gan: Any,
    rows: np.ndarray,
    labels: Labels,
    ranks: Ranks | None = None,
    quiet: bool = False,
) -> Points:
    """Turn ``rows`` of ``data``, and images of the generator, into points to cluster.

    Every one of ``ranks`` has to call it, and all get the same.
    """
    if settings.space == "attributes":
        # A class is one of many, not a quantity: a column for each.
        return Points(labels.binary()[1].astype(np.float32), np.zeros((0, 1)))
    real_images = partial(data.images, device=gan.device)
    network = None
    if settings.space == "features":
        known = data.subset("train", CALIBRATION_IMAGES, settings.seed)
        network = calibrated(gan.discriminator, real_images, known)
    read = reader(settings.space, network, settings.layers)
    vectors = stream(read, real_images, rows, ranks)
    reduction, points = reduce(
        with_progress(vectors, rows, "Clustering", quiet),
        len(rows),
        settings.components,
        seed=settings.seed,
    )
    if not settings.generated:
        nothing = np.zeros((0, points.shape[1]))
        return Points(points.numpy(), nothing, None, reduction, network)
    seed = mix_seed(settings.seed, CLUSTERING)
    z = sample_latents(settings.generated, gan.settings.latent_dim, seed)

    def faces(numbers: np.ndarray) -> Tensor:
        return gan.sample(z[numbers])

    numbers = np.arange(len(z))
    drawn = stream(read, faces, numbers, ranks)
    chunks = with_progress(drawn, numbers, "Clustering generated images", quiet)
    generated = torch.cat([reduction(chunk.cpu()) for chunk in chunks])

    def shown(numbers: np.ndarray) -> Tensor:
        return to_uint8(faces(numbers)).cpu()

    return Points(points.numpy(), generated.numpy(), shown, reduction, network)
