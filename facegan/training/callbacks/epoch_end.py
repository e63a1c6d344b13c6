"""What callbacks share at the end of an epoch: whose turn it is, who works, how it is logged."""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl

from facegan.errors import FaceganError
from facegan.features.stream import Ranks
from facegan.training.loggers import log_metrics


def is_due(trainer: pl.Trainer, every_n_epochs: int) -> bool:
    """Whether a callback works after this epoch: after every so many, and after the last.

    Early stopping decides only after the other callbacks, hence ``should_stop``.
    """
    epoch = trainer.current_epoch + 1
    return epoch % every_n_epochs == 0 or epoch == trainer.max_epochs or trainer.should_stop


def was_measured(trainer: pl.Trainer, metric: str) -> bool:
    """Whether ``metric`` is of this epoch, and not what an epoch before has left."""
    family = metric.partition("/")[0]
    return all(
        is_due(trainer, callback.every_n_epochs)
        for callback in trainer.callbacks  # type: ignore[attr-defined]
        if getattr(callback, "family", None) == family
    )


def publish(trainer: pl.Trainer, pl_module: Any, metrics: Mapping[str, float]) -> None:
    """Tell callbacks that watch a metric, and the loggers, before this epoch's checkpoint."""
    pl_module.log_dict(metrics, logger=False)
    log_metrics(trainer.loggers, metrics, pl_module.images_seen)


def ranks_of(trainer: pl.Trainer) -> Ranks:
    """The processes of this training, to share the reading of images."""
    return Ranks(trainer.global_rank, trainer.world_size, trainer.strategy.all_gather)


def on_rank_zero(
    trainer: pl.Trainer, work: Callable[[], dict[str, float]], what: str
) -> dict[str, float]:
    """The metrics that ``work`` gives on the first process, on every process the same.

    All of them have to call it. If it fails, all of them do: the others would wait for ever.
    """
    metrics: dict[str, float] = {}
    failure = None
    if trainer.is_global_zero:
        try:
            metrics = work()
        except Exception as error:
            failure = error
    metrics, failed = trainer.strategy.broadcast((metrics, failure is not None))
    if failure is not None:
        raise failure
    if failed:
        raise FaceganError(f"The first process could not {what}: see what it says.")
    return metrics
