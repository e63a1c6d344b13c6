"""A checkpoint when a signal stops the run."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from facegan.errors import Handler, InterruptedRun, handlers, insists, pass_on, restore
from facegan.lightning_internals import take_over_sigterm
from facegan.quoting import assignment

EVERY_N_BATCHES = 10  # batches after which several devices agree on whether to stop


class SaveOnSignal(pl.Callback):
    """On a signal that asks to stop (:data:`facegan.errors.SIGNALS`): saves ``path``, and stops.

    One device stops after the current batch, several after at most ten: agreeing is an all-reduce
    for which the CPU waits. The same signal again, or Ctrl-C, stops at once, without a checkpoint.
    A handler that was there before the training is called once the checkpoint is written; a signal
    that was ignored stays ignored.

    Attributes:
        received: number of the signal; None if there was none.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._signals: list[int] = []
        self._before: dict[int, Handler] = {}
        self._outside: dict[int, Handler] = {}

    @property
    def received(self) -> int | None:
        return self._signals[0] if self._signals else None

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        self._outside = handlers()  # without Lightning's own, which it sets after this

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._announces = trainer.is_global_zero
        self._before = {signum: signal.getsignal(signum) for signum in self._outside}
        for signum in self._before:
            signal.signal(signum, self._receive)
        take_over_sigterm(trainer)

    def teardown(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        restore(self._before)

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self._signals.append(signum)
        if insists(self._signals):
            raise KeyboardInterrupt
        if self._announces and len(self._signals) == 1:
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
        trainer.save_checkpoint(self.path, weights_only=False)
        signum = self.received or signal.SIGTERM
        pass_on(signum, self._outside)
        raise InterruptedRun(
            f"Stopped by {signal.Signals(signum).name} after {pl_module.images_seen:,} images; "
            f"the checkpoint is {self.path}. Continue with: python -m facegan.train "
            + assignment("resume", self.path.parent.parent),
            signum,
        )
