"""k-means on discriminator features after every epoch."""

import logging
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image

from facegan.clusters import report as cluster_report
from facegan.clusters.analysis import Analysis, analyse
from facegan.clusters.map import embed
from facegan.clusters.points import Points, read_points
from facegan.clusters.selection import select
from facegan.clusters.settings import ClusterSettings
from facegan.features.reading import reader
from facegan.features.stream import Ranks
from facegan.pictures import plots
from facegan.pictures.sheets import save_png
from facegan.training.callbacks.measurement import Measurement, Row, identity
from facegan.training.loggers import log_picture, log_table

log = logging.getLogger(__name__)

CURVES = 12  # labels whose NMI is drawn, at most


class Clusters(Measurement):
    """Clusters a fixed set of images by what the discriminator sees in them.

    Before training (000), after every ``every_n_epochs`` epochs and after the last, each time
    starting from the previous clusters. Writes into ``directory``:

    * ``epoch_NNN.png``: a row of faces per cluster;
    * ``map_NNN.png``: 600 of the images, coloured by cluster and by attribute;
    * ``attributes.csv``: how common each attribute is in each cluster, and ``clusters.csv``: its
      name, and its share of real and of generated images, both of the latest measurement;
    * ``metrics.csv``, and ``curves.png`` at the end.
    """

    family = "clusters"

    def __init__(self, directory: str, settings: ClusterSettings, every_n_epochs: int = 1) -> None:
        super().__init__(directory, settings, every_n_epochs)
        self._assignments: np.ndarray | None = None  # of the previous measurement
        self._map: np.ndarray | None = None

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Choose images, labels and layers; raises InputError where they do not fit the data."""
        settings = self.settings
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._selection = select(data, settings)
        self._images = identity(data, self._selection.rows).numpy()
        if settings.reads_features:
            reader("features", pl_module.discriminator, settings.layers)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.images_seen == 0:
            self.measure(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        state = {"assignments": self._assignments, "map": self._map, "images": self._images}
        return {k: torch.from_numpy(v) for k, v in state.items() if v is not None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = {k: v.numpy() for k, v in state_dict.items()}
        images = state.get("images")
        if images is not None and np.array_equal(images, self._images):
            self._assignments, self._map = state.get("assignments"), state.get("map")

    def read(self, trainer: pl.Trainer, module: Any, ranks: Ranks) -> Points:
        data = trainer.datamodule  # type: ignore[attr-defined]
        return read_points(self.settings, data, module, self._selection, ranks)

    def score(self, trainer: pl.Trainer, module: Any, epoch: int, found: Points) -> tuple[Row, Row]:
        result = analyse(
            found.real,
            self._selection,
            self.settings.seed,
            self._assignments,
            found.generated,
            found.start,
        )
        self._assignments = result.clusters.assignments
        self._write(trainer, result, found, epoch, module.images_seen)
        if epoch > 0 and result.coverage and result.coverage.unvisited:
            log.info("Epoch %d: %s", epoch, cluster_report.unvisited(result))
        return result.scores, {}

    def _write(
        self, trainer: pl.Trainer, result: Analysis, points: Points, epoch: int, seen: int
    ) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        rows = self._selection.rows
        sheet = cluster_report.sheet(
            result, lambda numbers: data.raw_images(rows[numbers]), points.images_of
        )
        self._map = embed(result.points[: cluster_report.MAPPED], self.settings.seed, self._map)
        layout = cluster_report.attribute_map(result, self._map)
        save_png(sheet, self.directory / f"epoch_{epoch:03d}.png")
        save_png(layout, self.directory / f"map_{epoch:03d}.png")
        cluster_report.write_tables(result, self.directory)
        log_picture(trainer.loggers, "clusters/sheet", sheet, seen)
        log_picture(trainer.loggers, "clusters/map", layout, seen)
        tables = {
            "clusters/attributes": (cluster_report.TABLE, cluster_report.attribute_rows(result)),
            "clusters/generated": (cluster_report.COMPARED, cluster_report.compared_rows(result)),
        }
        for key, (columns, found) in tables.items():
            values = [list(row.values()) for row in found]
            log_table(trainer.loggers, key, columns, values, seen)

    def curves(self, rows: list[dict[str, str]]) -> Image.Image:
        """Agreement with the labels, and the other scores, over images seen."""

        def series(prefix: str) -> dict[str, list[float]]:
            names = dict.fromkeys(name for row in rows for name in row if name.startswith(prefix))
            return {
                name.removeprefix("nmi/"): [float(row.get(name) or "nan") for row in rows]
                for name in names
            }

        agreement = series("nmi/")
        highest = sorted(agreement, key=lambda name: -np.nan_to_num(agreement[name][-1]))
        if len(agreement) > CURVES:
            agreement = {name: agreement[name] for name in highest[:CURVES]}
        images = "held-out labels" if len(self._selection.fitted) else "labels"
        panels = {f"NMI with the {images}": agreement} if agreement else {}
        panels["clusters"] = series("silhouette") | series("stability") | series("js")
        return plots.curves([float(row["step"]) for row in rows], panels)
