"""Saved clusters, and the assignment of new pictures to them."""

import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facegan.clusters import report
from facegan.clusters.analysis import Analysis
from facegan.clusters.kmeans import Clustering, assigned
from facegan.clusters.points import Points
from facegan.clusters.probe import LabelProbe
from facegan.clusters.settings import ClusterSettings
from facegan.data.module import ImageDataModule
from facegan.errors import InputError
from facegan.features.reading import reader, statistics, with_statistics
from facegan.features.reduction import Reduction
from facegan.features.stream import Reader, read_all
from facegan.files import expect_writable, replacing
from facegan.gan.gan import GAN
from facegan.networks.weights import weights_key
from facegan.pictures.sheets import save_png

log = logging.getLogger(__name__)

FILE = "centroids.npz"
_BUFFERS = "batch_norm/"  # before the names of D's buffers in the file


@dataclass(frozen=True)
class SavedClusters:
    """Clusters, and everything that turns an image into a point to compare with their centroids.

    Attributes:
        centroids: (k, c).
        sizes: (k,) images per cluster.
        names: (k,) of the clusters.
        typical: (k,) typical attributes of each cluster, one per line.
        space, layers: of :class:`ClusterSettings`; ``auto`` is decided.
        projection: from vectors to points; ``None`` for ``space=attributes``.
        buffers: of the calibrated D, by name; empty unless its features were read.
        images_seen: by D.
        network: :func:`weights_key` of D; ``None`` in files of versions that did not save it.
    """

    centroids: np.ndarray
    sizes: np.ndarray
    names: np.ndarray
    typical: np.ndarray
    space: str
    layers: list[int] | None
    projection: Reduction | LabelProbe | None
    buffers: dict[str, np.ndarray]
    images_seen: int
    network: str | None

    def reader(self, gan: GAN) -> Reader:
        """Images to the vectors that were clustered.

        Raises InputError if the features are of other weights than those of ``gan``.
        """
        if self.space not in ("features", "probe"):
            return reader(self.space)
        other = InputError(
            "The weights of this discriminator are not those whose features were clustered: "
            "cluster again, without predict=."
        )
        if self.network not in (None, weights_key(gan.discriminator)):
            raise other
        if self.images_seen != gan.images_seen:
            raise other
        if self.network is None:
            log.warning(
                "These clusters were saved without a key of the discriminator's weights: only the "
                "number of images seen was compared."
            )
        try:
            network = with_statistics(gan.discriminator, self.buffers)
        except (KeyError, RuntimeError) as error:  # another shape
            raise other from error
        return reader("features", network, self.layers)


def save(
    analysis: Analysis, points: Points, settings: ClusterSettings, gan: GAN, directory: Path
) -> None:
    """Write ``centroids.npz``: what :func:`load` reads."""
    clusters = analysis.clusters
    typical = ["\n".join(analysis.typical(number)) for number in range(clusters.k)]
    arrays: dict[str, Any] = {
        "centroids": clusters.centroids,
        "sizes": clusters.sizes,
        "names": np.array(analysis.names),
        "typical": np.array(typical),
        "space": np.array(settings.clustered),
        "layers": np.array(settings.layers or [], np.int64),
        "images_seen": np.array(gan.images_seen),
        "network": np.array(weights_key(gan.discriminator)),
    }
    if points.projection is not None:
        arrays |= {name: np.asarray(value) for name, value in vars(points.projection).items()}
    if points.network is not None:
        arrays |= {f"{_BUFFERS}{k}": value for k, value in statistics(points.network).items()}
    with replacing(directory / FILE) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def load(directory: Path) -> SavedClusters:
    """The clusters saved in ``directory``; InputError if there are none or the file is damaged."""
    path = directory / FILE
    if not path.is_file():
        raise InputError(
            f"There are no clusters in {directory} to assign to: run the same command without "
            "predict= first, or set out= to the directory they are in."
        )
    try:
        # Opened here: of a damaged file np.load forgets to close what it opens.
        with path.open("rb") as file, np.load(file) as saved:
            arrays = dict(saved)
        return SavedClusters(
            centroids=arrays["centroids"],
            sizes=arrays["sizes"],
            names=arrays.get("names", np.full(len(arrays["sizes"]), "")),
            typical=arrays["typical"],
            space=str(arrays["space"]),
            layers=arrays["layers"].tolist() or None,
            projection=_projection(arrays),
            buffers={
                name.removeprefix(_BUFFERS): value
                for name, value in arrays.items()
                if name.startswith(_BUFFERS)
            },
            images_seen=int(arrays["images_seen"]),
            network=str(arrays["network"]) if "network" in arrays else None,
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is damaged or does not hold clusters: cluster again, without predict=."
        ) from error


def _projection(arrays: Mapping[str, np.ndarray]) -> Reduction | LabelProbe | None:
    if "matrix" in arrays:
        return Reduction(*(torch.from_numpy(arrays[name]) for name in ("mean", "matrix")))
    if "weight" not in arrays:
        return None
    mean, weight, bias, spread = (
        torch.from_numpy(arrays[name]) for name in ("mean", "weight", "bias", "spread")
    )
    heads, widths = tuple(arrays["heads"].tolist()), tuple(arrays["widths"].tolist())
    return LabelProbe(mean, weight, bias, spread, heads, widths)


def assign(
    gan: GAN, pictures: ImageDataModule, directory: Path, layers: Sequence[int] | None = None
) -> Clustering:
    """Assign ``pictures`` to the clusters saved in ``directory``.

    Writes ``predictions.csv`` and ``predictions.png`` beside them. Returns the saved centroids with
    the assignment of every picture, in the order of ``pictures.store``. ``layers``: raise
    InputError if the clusters are of other layers; ``None``: whichever they are of.
    """
    saved = load(directory)
    project, rows = saved.projection, np.arange(len(pictures.store))
    if project is None:
        raise InputError(
            f"The clusters in {directory} are of the attributes: pictures without labels cannot be "
            "assigned."
        )
    if layers is not None and sorted(set(layers)) != saved.layers:
        raise InputError(
            f"The clusters in {directory} are of {_named(saved.layers)}, not of {_named(layers)}: "
            "leave clustering.layers out, or cluster again, without predict=."
        )
    read = saved.reader(gan)
    expect_writable(directory)
    images_of = partial(pictures.images, device=gan.device)
    points = read_all(lambda x: project(read(x).cpu()), images_of, rows, "Assigning").numpy()

    clusters = assigned(points, saved.centroids)
    probe = project if isinstance(project, LabelProbe) else None
    path = directory / "predictions.csv"
    report.write_assignments(pictures.store.names, points, clusters, path, probe)
    captions = []
    for number, size in enumerate(clusters.sizes):
        title = f"{number}: {saved.names[number]}" if saved.names[number] else str(number)
        typical = ", ".join(str(saved.typical[number]).splitlines())
        captions.append("\n".join([title, f"{size:,} pictures", typical]).rstrip())
    sheet = report.contact_sheet(points, clusters, captions, pictures.raw_images)
    save_png(sheet, directory / "predictions.png")
    for caption in captions:
        log.info("; ".join(caption.splitlines()))
    log.info("%s pictures assigned: %s", f"{len(rows):,}", path)
    return clusters


def _named(layers: Sequence[int] | None) -> str:
    return "all layers" if layers is None else f"layers {sorted(set(layers))}"
