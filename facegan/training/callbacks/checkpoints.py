"""Checkpoints after every epoch, every n epochs, and of the best epoch."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from facegan.training.callbacks.measurement import was_measured


class Checkpoints(ModelCheckpoint):
    """Writes ``{filename}.ckpt`` into ``directory``; ``{epoch}`` counts finished epochs, from 1.

    Args:
        keep: how many are kept; -1: all.
        monitor: metric of which the lowest (``mode`` "min") or highest ("max") checkpoints are
            kept; None: the last ones.
        weights_only: leave out the optimizers: training cannot continue from such checkpoints.
    """

    def __init__(
        self,
        directory: str,
        filename: str,
        every_n_epochs: int,
        keep: int,
        monitor: str | None = None,
        mode: str = "min",
        weights_only: bool = False,
    ) -> None:
        super().__init__(
            dirpath=directory,
            filename=filename,
            every_n_epochs=every_n_epochs,
            save_top_k=keep,
            monitor=monitor,
            mode=mode,
            save_weights_only=weights_only,
            auto_insert_metric_name=False,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    @property
    def state_key(self) -> str:
        # Lightning's key is the same for all instances. Scores of another metric are not compared,
        # so the key names the metric.
        by = f", {self.mode} {self.monitor}" if self.monitor else ""
        return f"Checkpoints({self.filename}{by})"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self.monitor is None or was_measured(trainer, self.monitor):
            super().on_train_epoch_end(trainer, pl_module)

    def format_checkpoint_name(self, metrics: Mapping[str, Any], *args: Any, **kwargs: Any) -> str:
        finished = {**metrics, "epoch": metrics["epoch"] + 1}
        return super().format_checkpoint_name(finished, *args, **kwargs)
