"""Checkpoints: after every epoch, every n epochs for good, and when a signal stops the run."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from facegan.errors import SIGNALS, InterruptedRun
from facegan.quoting import assignment
from facegan.training.callbacks.epoch_end import was_measured


class Checkpoints(ModelCheckpoint):
    """Keeps ``{filename}.ckpt`` in ``directory``; ``{epoch}`` counts finished epochs, from 1.

    ``monitor``: a metric of which the lowest (``mode`` min) or highest (max) is kept, instead of
    the last. ``weights_only``: without optimizers, for what nobody trains further.
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
        # Lightning's own is that of any other instance. With what it judges by: a score of another
        # metric says nothing.
        by = f", {self.mode} {self.monitor}" if self.monitor else ""
        return f"Checkpoints({self.filename}{by})"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self.monitor is None or was_measured(trainer, self.monitor):
            super().on_train_epoch_end(trainer, pl_module)

    def format_checkpoint_name(self, metrics: Mapping[str, Any], *args: Any, **kwargs: Any) -> str:
        return super().format_checkpoint_name(
            {**metrics, "epoch": metrics["epoch"] + 1}, *args, **kwargs
        )


class SaveOnSignal(pl.Callback):
    """On Ctrl-C, SIGTERM or SIGUSR1 (SLURM's): finishes the batch, writes ``path``, and stops.

    A second signal stops at once, without a checkpoint.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._first = trainer.is_global_zero
        self._before = {signum: signal.signal(signum, self._receive) for signum in SIGNALS}

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        for signum, handler in self._before.items():
            if handler is not None:  # else it was not Python's
                signal.signal(signum, handler)

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signum
        if self._first:
            os.write(2, b"\nStopping after this step with a checkpoint; once more: at once.\n")

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        # Of the next batch: what the last one had to log is written by now.
        # Several devices must agree, or one would save while the others wait for its gradients.
        if not trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            return
        trainer.save_checkpoint(self.path)
        signum = self.received or signal.SIGTERM
        raise InterruptedRun(
            f"Stopped by {signal.Signals(signum).name} after {pl_module.images_seen:,} images; "
            f"the checkpoint is {self.path}. Go on with: python -m facegan.train "
            + assignment("resume", self.path.parent.parent),
            signum,
        )
