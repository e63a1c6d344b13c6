"""What a run keeps of a checkpoint's callback state and of the CSV files in its directory."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from facegan.errors import InputError
from facegan.lightning_internals import mark_epoch_unfinished, relocated, restart_epoch
from facegan.training.callbacks.measurement import Measurement
from facegan.training.callbacks.objective import EarlyStopping, Objective
from facegan.training.callbacks.quality import Quality
from facegan.training.callbacks.samples import Samples
from facegan.training.loggers.csv import forget_metrics_after

log = logging.getLogger(__name__)


class ResumePolicy(pl.Callback):
    """Keeps everything when a run is resumed, nothing when it is a new run from a checkpoint.

    The best checkpoint, the objective and early stopping remember scores if the run is resumed and
    quality is still measured in the same way. CSV rows and pictures that are about to be written
    again are deleted, but not before everything is set up: a run that is refused loses nothing.

    Args:
        resumed: whether the run continues in ``run_dir`` from its own checkpoint.
        record: called when training starts, to save the run's settings.
    """

    def __init__(self, run_dir: str, resumed: bool, record: Callable[[], None]) -> None:
        self.run_dir, self.resumed, self.record = Path(run_dir), resumed, record

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Raise InputError unless all ranks resume, or none: their machines may share no disk."""
        everywhere, anywhere = (
            trainer.strategy.reduce_boolean_decision(self.resumed, all=every)
            for every in (True, False)
        )
        if everywhere != anywhere:
            raise InputError(
                f"Only some of the machines have a checkpoint in {self.run_dir}: put it on a disk "
                "that all of them share, by hydra.run.dir, or copy it to the others."
            )

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["data"] = _data_of(trainer)
        if trainer.should_stop and not trainer.is_last_batch:  # trainer.max_time
            mark_epoch_unfinished(checkpoint)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        if checkpoint.get("data", _data_of(trainer)) != _data_of(trainer):
            restart_epoch(checkpoint)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        states = checkpoint["callbacks"]
        comparable = all(
            states.get(callback.state_key) in (None, callback.state_dict())
            for callback in callbacks
            if isinstance(callback, Quality)
        )
        if self.resumed and not comparable and trainer.is_global_zero:
            log.warning(
                "Quality is measured in another way than before: the best checkpoint is chosen "
                "from this epoch on."
            )
        for callback in callbacks:
            metric = _watched_metric(callback)
            if metric is None or callback.state_key not in states:
                continue
            if not self.resumed or (metric.startswith("quality/") and not comparable):
                del states[callback.state_key]
            elif isinstance(callback, ModelCheckpoint):
                state = states[callback.state_key]
                states[callback.state_key] = relocated(state, str(callback.dirpath))

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        # Not all of run_dir: the directory of another run may be inside.
        own = [
            callback.directory
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(callback, Measurement | Samples)
        ]
        seen = pl_module.images_seen if self.resumed else 0
        for directory in (self.run_dir, *own):
            forget_metrics_after(directory / "metrics.csv", seen)
        if pl_module.images_seen == 0:  # a run that was killed before its first checkpoint
            for picture in (path for directory in own for path in directory.glob("*.png")):
                if re.search(r"_\d{3,}\.png$", picture.name):
                    picture.unlink()
        self.record()


def _watched_metric(callback: pl.Callback) -> str | None:
    """The metric that a callback remembers scores of, "" if of none; None for other callbacks."""
    if isinstance(callback, ModelCheckpoint | EarlyStopping):
        return callback.monitor or ""
    return callback.metric if isinstance(callback, Objective) else None


def _data_of(trainer: pl.Trainer) -> str:
    """What determines which images an epoch contains, and in which order."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return f"{data.store.path.name}, {len(data.train_rows())} images, seed {data.seed}"
