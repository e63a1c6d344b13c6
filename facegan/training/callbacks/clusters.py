"""What the discriminator tells apart: k-means on its features after every epoch."""

import hashlib
import logging
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image

from facegan.clusters import report as cluster_report
from facegan.clusters.analysis import Analysis, analyse
from facegan.clusters.map import embed
from facegan.clusters.points import Points, chosen_labels, read_points
from facegan.clusters.settings import ClusterSettings
from facegan.errors import expect_int
from facegan.features.reading import reader
from facegan.files import append_csv, read_csv
from facegan.pictures import plots
from facegan.pictures.sheets import save_png
from facegan.training.callbacks.epoch_end import is_due, on_rank_zero, publish, ranks_of
from facegan.training.loggers import log_metrics, log_picture, log_table

log = logging.getLogger(__name__)


class Clusters(pl.Callback):
    """Clusters a fixed set of images and writes what it finds into ``directory``.

    ``epoch_NNN.png``: a row of faces per cluster; ``map_NNN.png``: 600 of them, coloured by
    cluster and by attribute; ``attributes.csv``: how common each attribute is in each cluster;
    ``metrics.csv``; ``curves.png`` at the end. Before training (000) and after every
    ``every_n_epochs`` epochs, each time going on from the clusters before. Training is not
    touched by it: neither its networks nor its random state.

    Several devices share the reading of features; the first one clusters, and all log its numbers.
    """

    family = "clusters"  # of its metrics

    def __init__(self, directory: str, settings: ClusterSettings, every_n_epochs: int = 1) -> None:
        expect_int("callbacks.clusters.every_n_epochs", every_n_epochs, at_least=1)
        self.directory = Path(directory)
        self.settings = settings
        self.every_n_epochs = every_n_epochs
        self._assignments: np.ndarray | None = None  # of the time before
        self._map: np.ndarray | None = None

    # ------------------------------------------------------------------ when

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Choose images, labels and layers; raises InputError where they do not fit the data."""
        settings = self.settings
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._rows = data.subset(settings.split, settings.n, settings.seed)
        self._labels = chosen_labels(data, self._rows, settings)
        digest = hashlib.sha256(str(data.store.path.name).encode() + self._rows.tobytes()).digest()
        self._images = np.frombuffer(digest, np.uint8).copy()  # which these are
        if settings.space == "features":
            reader("features", pl_module.discriminator, settings.layers)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.images_seen == 0:
            metrics = self._cluster(trainer, pl_module, epoch=0)
            log_metrics(trainer.loggers, metrics, images_seen=0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if is_due(trainer, self.every_n_epochs):
            metrics = self._cluster(trainer, pl_module, trainer.current_epoch + 1)
            publish(trainer, pl_module, metrics)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        rows = read_csv(self.directory / "metrics.csv")
        if not (trainer.is_global_zero and rows):
            return
        picture = _curves(rows)
        save_png(picture, self.directory / "curves.png")
        log_picture(trainer.loggers, "clusters/curves", picture, pl_module.images_seen)

    def state_dict(self) -> dict[str, Any]:
        state = {"assignments": self._assignments, "map": self._map, "images": self._images}
        return {k: torch.from_numpy(v) for k, v in state.items() if v is not None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = {k: v.numpy() for k, v in state_dict.items()}
        known = state.get("images")
        if known is not None and np.array_equal(known, self._images):  # not of other images
            self._assignments, self._map = state.get("assignments"), state.get("map")

    # ------------------------------------------------------------------ what

    def _cluster(self, trainer: pl.Trainer, pl_module: Any, epoch: int) -> dict[str, float]:
        """Cluster, write the files, and return the metrics, on every rank the same."""
        began = perf_counter()
        points = read_points(
            self.settings,
            trainer.datamodule,  # type: ignore[attr-defined]
            pl_module,
            self._rows,
            self._labels,
            ranks_of(trainer),
            quiet=trainer.progress_bar_callback is None,
        )
        return on_rank_zero(
            trainer,
            lambda: self._analyse(trainer, points, epoch, pl_module.images_seen, began),
            "cluster",
        )

    def _analyse(
        self, trainer: pl.Trainer, points: Points, epoch: int, seen: int, began: float
    ) -> dict[str, float]:
        result = analyse(
            points.real, self._labels, self.settings, self._assignments, points.generated
        )
        self._assignments = result.clusters.assignments
        self._write(trainer, result, points, epoch, seen)
        row = {"epoch": epoch, "step": seen, **result.scores}
        row["seconds"] = round(perf_counter() - began, 2)
        append_csv(self.directory / "metrics.csv", row)
        return {f"clusters/{name}": value for name, value in result.scores.items()}

    def _write(
        self, trainer: pl.Trainer, result: Analysis, points: Points, epoch: int, seen: int
    ) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        sheet = cluster_report.sheet(
            result, lambda numbers: data.raw_images(self._rows[numbers]), points.images_of
        )
        self._map = embed(result.points[: cluster_report.MAPPED], self.settings.seed, self._map)
        layout = cluster_report.attribute_map(result, self._map)
        save_png(sheet, self.directory / f"epoch_{epoch:03d}.png")
        save_png(layout, self.directory / f"map_{epoch:03d}.png")
        cluster_report.write_table(result, self.directory / "attributes.csv")
        log_picture(trainer.loggers, "clusters/sheet", sheet, seen)
        log_picture(trainer.loggers, "clusters/map", layout, seen)
        rows = [list(vars(found).values()) for found in result.associations]
        log_table(trainer.loggers, "clusters/attributes", cluster_report.TABLE, rows, seen)
        if epoch > 0 and result.coverage and result.coverage.unvisited:
            log.info("Epoch %d: %s", epoch, cluster_report.unvisited(result))


def _curves(rows: list[dict[str, str]]) -> Image.Image:
    """Agreement with the labels, and the other scores, over images seen."""
    seen = [float(row["step"]) for row in rows]

    def series(prefix: str) -> dict[str, list[float]]:
        names = [name for row in rows for name in row if name.startswith(prefix)]
        return {
            name.removeprefix("nmi/"): [float(row.get(name) or "nan") for row in rows]
            for name in dict.fromkeys(names)
        }

    agreement = series("nmi/")
    if len(agreement) > 12:  # those that end highest
        last = sorted(agreement, key=lambda name: -np.nan_to_num(agreement[name][-1]))
        agreement = {name: agreement[name] for name in last[:12]}
    panels = {"NMI with the labels": agreement} if agreement else {}
    panels["clusters"] = series("silhouette") | series("stability") | series("js")
    return plots.curves(seen, panels)
