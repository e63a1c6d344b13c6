"""Measuring callbacks: when they run, on which rank, and how their metrics are logged."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor

from facegan.errors import FaceganError
from facegan.features.stream import Ranks
from facegan.files import append_csv, read_csv
from facegan.pictures.sheets import save_png
from facegan.settings import Count, checked
from facegan.training.loggers import log_metrics, log_picture

log = logging.getLogger(__name__)

T = TypeVar("T")
Row = dict[str, Any]  # numbers by name; an error may be None


def is_due(trainer: pl.Trainer, every_n_epochs: int) -> bool:
    """Whether a callback runs after this epoch: after every n-th epoch, and after the last.

    ``should_stop`` counts as the last: ``trainer.max_time`` sets it before epochs end. Early
    stopping sets it only after the other callbacks have run.
    """
    epoch = trainer.current_epoch + 1
    return epoch % every_n_epochs == 0 or epoch == trainer.max_epochs or trainer.should_stop


def record(
    trainer: pl.Trainer,
    module: Any,
    family: str,
    metrics: Mapping[str, float],
    details: Mapping[str, Any] | None = None,
    directory: Path | None = None,
) -> None:
    """Log metrics to callbacks, loggers and CSV, before this epoch's checkpoint is written.

    As ``family/name`` they go to callbacks (``trainer.callback_metrics``) and loggers. A row with
    epoch, images seen, metrics and ``details`` is added to ``metrics.csv`` in ``directory``.

    Call it on every rank with the same metrics. Measurements before training do not reach
    callbacks, so that they neither stop a run nor select a checkpoint.
    """
    named = {f"{family}/{name}": value for name, value in metrics.items()}
    seen = module.images_seen
    if seen > 0:
        module.log_dict(named, logger=False)
    log_metrics(trainer.loggers, named, seen)
    if directory is not None and trainer.is_global_zero:
        epoch = trainer.current_epoch + 1 if seen > 0 else 0
        row = {"epoch": epoch, "step": seen, **metrics, **(details or {})}
        append_csv(directory / "metrics.csv", row)


def on_rank_zero(trainer: pl.Trainer, work: Callable[[], T], what: str) -> T:
    """The result of ``work``, which runs on rank 0, on every rank.

    Call it on every rank. If ``work`` fails, all ranks raise; otherwise they would wait forever.
    """
    result: T | None = None
    failure = None
    if trainer.is_global_zero:
        try:
            result = work()
        except Exception as error:
            failure = error
    result, failed = trainer.strategy.broadcast((result, failure is not None))
    if failure is not None:
        raise failure
    if failed:
        raise FaceganError(f"Rank 0 failed to {what}; its error is above.")
    return result  # type: ignore[return-value]


def identity(data: Any, rows: np.ndarray) -> Tensor:
    """What identifies images in a callback's state: a hash (32,) uint8 of store and rows."""
    digest = hashlib.sha256(data.store.path.name.encode() + rows.tobytes()).digest()
    return torch.frombuffer(bytearray(digest), dtype=torch.uint8)


def ranks_of(trainer: pl.Trainer) -> Ranks:
    """The ranks that share the reading of images; rank 0 shows progress where training does."""
    quiet = trainer.progress_bar_callback is None or not trainer.is_global_zero
    return Ranks(trainer.global_rank, trainer.world_size, trainer.strategy.all_gather, quiet)


class Measurement(pl.Callback, ABC):
    """Base of callbacks that measure the networks after every n epochs and after the last.

    A subclass sets ``family`` and implements :meth:`read`, :meth:`score` and :meth:`curves`. Ranks
    share the reading of images, rank 0 scores, and all ranks record the same metrics. Training is
    not affected: neither its networks nor its random state.

    Attributes:
        family: first part of the metrics' names, "clusters" or "quality"; also the key of the
            callback in ``conf/callbacks``.
        directory: of ``metrics.csv``, ``curves.png`` and pictures.
    """

    family: ClassVar[str]

    def __init__(self, directory: str, settings: Any, every_n_epochs: int = 1) -> None:
        key = f"callbacks.{self.family}.every_n_epochs"
        self.every_n_epochs: int = checked(key, every_n_epochs, Count)
        self.directory = Path(directory)
        self.settings = settings

    @abstractmethod
    def read(self, trainer: pl.Trainer, module: Any, ranks: Ranks) -> Any:
        """Read what is to be scored. Called on every rank."""

    @abstractmethod
    def score(self, trainer: pl.Trainer, module: Any, epoch: int, found: Any) -> tuple[Row, Row]:
        """Score what :meth:`read` found and write pictures. Called on rank 0.

        Returns the metrics and, for ``metrics.csv`` in ``directory`` alone, details such as errors.
        """

    @abstractmethod
    def curves(self, rows: list[dict[str, str]]) -> Image.Image | None:
        """The metrics over images seen, from the rows of ``metrics.csv``; None: nothing to draw."""

    def measure(self, trainer: pl.Trainer, module: Any) -> None:
        """Measure now and :func:`record` the metrics. Call it on every rank."""
        began = perf_counter()
        found = self.read(trainer, module, ranks_of(trainer))
        epoch = trainer.current_epoch + 1 if module.images_seen > 0 else 0
        metrics, details = on_rank_zero(
            trainer, lambda: self.score(trainer, module, epoch, found), f"measure {self.family}"
        )
        details = {**details, "seconds": round(perf_counter() - began, 2)}
        record(trainer, module, self.family, metrics, details, self.directory)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if is_due(trainer, self.every_n_epochs):
            self.measure(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        rows = read_csv(self.directory / "metrics.csv")
        if not (trainer.is_global_zero and rows):
            return
        picture = self.curves(rows)
        if picture is not None:
            save_png(picture, self.directory / "curves.png")
            log_picture(trainer.loggers, f"{self.family}/curves", picture, pl_module.images_seen)


def was_measured(trainer: pl.Trainer, metric: str) -> bool:
    """Whether ``metric`` was measured in this epoch, not only in an earlier one."""
    family = metric.partition("/")[0]
    return all(
        is_due(trainer, callback.every_n_epochs)
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if isinstance(callback, Measurement) and callback.family == family
    )
