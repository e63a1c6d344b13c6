"""A checkpoint when a signal stops the run."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from facegan.errors import SIGNALS, InterruptedRun
from facegan.lightning_internals import take_over_sigterm
from facegan.quoting import assignment

EVERY_N_BATCHES = 10  # batches after which several devices agree on whether to stop


class SaveOnSignal(pl.Callback):
    """On Ctrl-C, SIGTERM or SIGUSR1 (SLURM's): writes the checkpoint ``path``, and stops.

    One device stops after the current batch, several after at most ten: agreeing is an all-reduce
    for which the CPU waits. A second signal stops at once, without a checkpoint.

    Attributes:
        received: number of the signal; None if there was none.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._announces = trainer.is_global_zero
        self._before = {signum: signal.signal(signum, self._receive) for signum in SIGNALS}
        take_over_sigterm(trainer)

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        for signum, handler in self._before.items():
            if handler is not None:  # else it was not set from Python
                signal.signal(signum, handler)

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signum
        if self._announces:
            os.write(2, b"\nSaving a checkpoint and stopping. Again: stop at once, without one.\n")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        # Before a batch, because the loggers have by now written what the previous one logged.
        if trainer.world_size > 1 and batch_idx % EVERY_N_BATCHES != 0:
            return
        # All ranks or none: one that saved alone would leave the others waiting for its gradients.
        if not trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            return
        trainer.save_checkpoint(self.path)
        signum = self.received or signal.SIGTERM
        raise InterruptedRun(
            f"Stopped by {signal.Signals(signum).name} after {pl_module.images_seen:,} images; "
            f"the checkpoint is {self.path}. Continue with: python -m facegan.train "
            + assignment("resume", self.path.parent.parent),
            signum,
        )
