"""Images as points for k-means: shared by the callback and by ``facegan.cluster``."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from facegan.clusters.settings import ClusterSettings
from facegan.data.labels import Labels, choose_labels
from facegan.data.module import ImageDataModule
from facegan.errors import InputError
from facegan.features.reading import CALIBRATION_IMAGES, calibrated, reader
from facegan.features.reduction import Reduction, reduce
from facegan.features.stream import ALONE, Ranks, RawImages, stream
from facegan.gan.gan import GAN
from facegan.pictures.scaling import to_uint8
from facegan.seeds import CLUSTERING, mix_seed


def chosen_labels(data: ImageDataModule, rows: np.ndarray, settings: ClusterSettings) -> Labels:
    """The labels (len(rows), L) of ``clustering.attributes``.

    Raises InputError for unknown names, or where ``space=attributes`` has no labels to cluster.
    """
    store = data.store
    labels = choose_labels(
        "clustering.attributes",
        settings.attributes,
        store.label_names,
        store.labels[rows].astype(np.int64),
        store.class_names,
    )
    if settings.space == "attributes" and not labels.names:
        raise InputError(
            f"clustering.space=attributes needs labels, and {data.name} has none: "
            "use clustering.space=features."
        )
    return labels


@dataclass(frozen=True)
class Points:
    """Real images (N, c) and generated ones (M, c) as points.

    Attributes:
        images_of: generated images as uint8, by number; ``None`` without generated images.
        reduction: from vectors to points; ``None`` for ``space=attributes``.
        network: the calibrated discriminator; ``None`` unless ``space=features``.
    """

    real: np.ndarray
    generated: np.ndarray
    images_of: RawImages | None = None
    reduction: Reduction | None = None
    network: nn.Module | None = None


def read_points(
    settings: ClusterSettings,
    data: ImageDataModule,
    gan: GAN,
    rows: np.ndarray,
    labels: Labels,
    ranks: Ranks = ALONE,
) -> Points:
    """Turn ``rows`` of ``data``, and images of the generator, into points.

    Every one of ``ranks`` must call it, and all get the same points.
    """
    if settings.space == "attributes":
        # A class is a category, not a quantity: one column per class.
        return Points(labels.binary()[1].astype(np.float32), np.zeros((0, 1)))
    real_images = partial(data.images, device=gan.device)
    network = None
    if settings.space == "features":
        train_rows = data.subset("train", CALIBRATION_IMAGES, settings.seed)
        network = calibrated(gan.discriminator, real_images, train_rows)
    read = reader(settings.space, network, settings.layers)
    vectors = stream(read, real_images, rows, "Clustering", ranks)
    reduction, real = reduce(vectors, len(rows), settings.components, seed=settings.seed)
    if not settings.generated:
        return Points(real.numpy(), np.zeros((0, real.shape[1])), None, reduction, network)

    generated_images = gan.images_of(settings.generated, mix_seed(settings.seed, CLUSTERING))
    numbers = np.arange(settings.generated)
    vectors = stream(read, generated_images, numbers, "Clustering generated images", ranks)
    generated = torch.cat([reduction(chunk.cpu()) for chunk in vectors])

    def images_of(numbers: np.ndarray) -> Tensor:
        return to_uint8(generated_images(numbers)).cpu()

    return Points(real.numpy(), generated.numpy(), images_of, reduction, network)
