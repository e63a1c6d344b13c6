"""The discriminator's clusters as conditions of both networks."""

import logging
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from facegan.clusters.kmeans import k_means
from facegan.errors import InputError
from facegan.features.reading import CALIBRATION_IMAGES, calibrated, reader
from facegan.features.reduction import reduce
from facegan.features.stream import stream
from facegan.training.callbacks.measurement import identity, on_rank_zero, ranks_of, record

log = logging.getLogger(__name__)


class SelfCondition(pl.Callback):
    """Clusters the training images by D's features, for ``condition=clusters``.

    Self-conditioned GAN (Liu et al. 2020, arXiv:2006.10728): the clusters of the untrained D are
    the first conditions; later ones start from those before and keep their numbers, so that each
    cluster's embeddings keep their meaning. A batch brings the number as one more label.

    Args:
        k: number of clusters.
        recluster: epochs after which images are clustered anew; None: 1, 2, 4, 8 and so on, which
            costs less the longer a run is. The last epoch of all is left out: nothing would use
            its clusters.
        components: principal components of the features.
        seed: of k-means.
    """

    def __init__(
        self, k: int, recluster: Sequence[int] | None = None, components: int = 32, seed: int = 0
    ) -> None:
        self.k, self.recluster, self.components, self.seed = k, recluster, components, seed
        self._images = torch.empty(0, dtype=torch.uint8)  # identifies the training images
        self._restored: np.ndarray | None = None

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._rows = data.train_rows()
        if len(self._rows) < self.k:
            raise InputError(
                f"condition=clusters: {self.k} clusters need as many training images, and "
                f"{data.name} has {len(self._rows)}: set condition.k to less."
            )
        self._images = identity(data, self._rows)
        data.clusters = np.zeros(len(data.store), np.int64)
        self._clusters = data.clusters

    def state_dict(self) -> dict[str, Any]:
        numbers = torch.from_numpy(self._clusters[self._rows].astype(np.int16))
        return {"clusters": numbers, "images": self._images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if torch.equal(state_dict["images"], self._images):
            self._restored = state_dict["clusters"].numpy().astype(np.int64)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self._restored is None:
            self._cluster(trainer, pl_module, previous=None)
        else:
            self._clusters[self._rows], self._restored = self._restored, None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        epoch = trainer.current_epoch + 1
        due = epoch in self.recluster if self.recluster is not None else epoch.bit_count() == 1
        if due and epoch != trainer.max_epochs and not trainer.should_stop:
            self._cluster(trainer, pl_module, previous=self._clusters[self._rows])

    def _cluster(self, trainer: pl.Trainer, module: Any, previous: np.ndarray | None) -> None:
        began = perf_counter()
        points = self._points(trainer, module)
        clusters = on_rank_zero(
            trainer,
            lambda: k_means(points, self.k, seed=self.seed, previous=previous).assignments,
            "cluster the training images",
        )
        self._clusters[self._rows] = clusters
        module.conditions.fit_values(clusters[:, None])
        counts = np.bincount(clusters, minlength=self.k)
        metrics = {"largest": float(counts.max()), "empty": float((counts == 0).sum())}
        if previous is not None:
            metrics["moved"] = float((clusters != previous).mean())
        metrics["seconds"] = perf_counter() - began
        record(trainer, module, "conditions", metrics)

    def _points(self, trainer: pl.Trainer, module: Any) -> np.ndarray:
        """Whitened principal components (N, c) of the calibrated D's features; on every rank."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        ranks = ranks_of(trainer)
        images = partial(data.images, device=module.device)
        first = data.subset("train", CALIBRATION_IMAGES, self.seed)
        read = reader("features", calibrated(module.discriminator, images, first))
        chunks = stream(read, images, self._rows, "Clustering for conditions", ranks)
        return reduce(chunks, len(self._rows), self.components, seed=self.seed)[1].numpy()
