"""The one number that a run is judged by, in searches and by early stopping."""

import math
from typing import Any

import pytorch_lightning as pl

from facegan.errors import expect_int


class Objective(pl.Callback):
    """Remembers the best value that ``metric`` had after an epoch of the run in ``run_dir``.

    Attributes:
        value: the best so far; ``None`` if it was never logged, or never finite.
        epoch: the epoch after which it was that, from 1.
    """

    def __init__(self, metric: str, mode: str, run_dir: str) -> None:
        self.metric, self.mode, self.run_dir = metric, mode, run_dir
        self.value: float | None = None
        self.epoch: int | None = None
        self.logged = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self.metric not in trainer.callback_metrics:
            return
        self.logged = True
        value = float(trainer.callback_metrics[self.metric])
        sign = 1 if self.mode == "min" else -1
        if math.isfinite(value) and (self.value is None or sign * value < sign * self.value):
            self.value, self.epoch = value, trainer.current_epoch + 1

    def state_dict(self) -> dict[str, Any]:
        return {"of": self._of, "value": self.value, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["of"] == self._of:  # not where a new run starts from another's checkpoint
            self.value, self.epoch = state_dict["value"], state_dict["epoch"]
            self.logged = self.value is not None

    @property
    def _of(self) -> list[str]:
        return [self.metric, self.mode, self.run_dir]


class EarlyStopping(pl.callbacks.EarlyStopping):
    """Lightning's own, after epochs; what another run has counted is not its business."""

    def __init__(self, run_dir: str, monitor: str, mode: str, patience: int) -> None:
        expect_int("callbacks.early_stopping.patience", patience, at_least=1)
        # Not strict: quality may be measured every few epochs only.
        super().__init__(
            monitor, mode=mode, patience=patience, check_on_train_epoch_end=True, strict=False
        )
        self.run_dir = run_dir

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "run_dir": self.run_dir}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict.get("run_dir") == self.run_dir:
            super().load_state_dict(state_dict)
