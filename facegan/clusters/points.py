"""Images as points for k-means: shared by the callback and by ``facegan.cluster``."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.metrics import pairwise_distances_argmin
from torch import Tensor, nn

from facegan.clusters.probe import LabelProbe, fit_label_probe
from facegan.clusters.selection import Selection, frequent
from facegan.clusters.settings import ClusterSettings
from facegan.data.module import ImageDataModule
from facegan.features.reading import CALIBRATION_IMAGES, calibrated, reader
from facegan.features.reduction import Reduction, reduce
from facegan.features.stream import ALONE, Images, Ranks, RawImages, stream
from facegan.gan.gan import GAN
from facegan.pictures.scaling import to_uint8
from facegan.seeds import CLUSTERING, mix_seed


@dataclass(frozen=True)
class Points:
    """Real images (N, c) and generated ones (M, c) as points.

    Attributes:
        images_of: generated images as uint8, by number; ``None`` without generated images.
        projection: from vectors to points; ``None`` for ``space=attributes``.
        network: the calibrated discriminator; ``None`` unless its features are read.
        start: the nearest frequent combination of labels (N,), the most frequent first, for k-means
            to start from; ``None`` unless probes were fitted.
    """

    real: np.ndarray
    generated: np.ndarray
    images_of: RawImages | None = None
    projection: Reduction | LabelProbe | None = None
    network: nn.Module | None = None
    start: np.ndarray | None = None

    @property
    def probe(self) -> LabelProbe | None:
        """The probe whose probabilities were clustered, if any."""
        return self.projection if isinstance(self.projection, LabelProbe) else None


def read_points(
    settings: ClusterSettings,
    data: ImageDataModule,
    gan: GAN,
    selection: Selection,
    ranks: Ranks = ALONE,
) -> Points:
    """Turn the selected images of ``data``, and images of the generator, into points.

    Every one of ``ranks`` must call it, and all get the same points.
    """
    if settings.clustered == "attributes":
        # A class is a category, not a quantity: one column per class.
        return Points(selection.labels.binary()[1].astype(np.float32), np.zeros((0, 1)))
    real_images = partial(data.images, device=gan.device)
    network = None
    if settings.reads_features:
        train_rows = data.subset("train", CALIBRATION_IMAGES, settings.seed)
        network = calibrated(gan.discriminator, real_images, train_rows)
    read = reader("features" if network else "pixels", network, settings.layers)

    def vectors(images_of: Images, rows: np.ndarray, title: str) -> Iterator[Tensor]:
        return stream(read, images_of, rows, title, ranks)

    rows = selection.rows
    projection: Reduction | LabelProbe
    start = None
    if settings.clustered == "probe":
        fitted = vectors(real_images, selection.fitted, "Fitting probes")
        labels = selection.fitted_labels
        probe, truth = fit_label_probe(fitted, labels, settings.kept, settings.seed)
        chunks = vectors(real_images, rows, "Clustering")
        probabilities = torch.cat([probe.probabilities(chunk.cpu()) for chunk in chunks])
        projection = scaled = probe.scaled_by(probabilities)
        real = probabilities / scaled.spread
        combinations = frequent(truth.numpy())[: selection.k] / scaled.spread.numpy()
        if len(combinations):
            start = pairwise_distances_argmin(real.numpy(), combinations.astype(np.float32))
    else:
        chunks = vectors(real_images, rows, "Clustering")
        projection, real = reduce(chunks, len(rows), settings.kept, seed=settings.seed)
    if not settings.generated:
        return Points(real.numpy(), np.zeros((0, real.shape[1])), None, projection, network, start)

    generated_images = gan.images_of(settings.generated, mix_seed(settings.seed, CLUSTERING))
    chunks = vectors(generated_images, np.arange(settings.generated), "Clustering generated images")
    generated = torch.cat([projection(chunk.cpu()) for chunk in chunks])

    def images_of(numbers: np.ndarray) -> Tensor:
        return to_uint8(generated_images(numbers)).cpu()

    return Points(real.numpy(), generated.numpy(), images_of, projection, network, start)
