"""The one number that a run is judged by, in searches."""

import math
from typing import Any

import pytorch_lightning as pl


class Objective(pl.Callback):
    """Remembers the best value that ``metric`` had after an epoch.

    Attributes:
        value: the best so far; ``None`` if it was never logged, or never finite.
        epoch: the epoch after which it was that, from 1.
    """

    def __init__(self, metric: str, mode: str) -> None:
        self.metric, self.mode = metric, mode
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
        return {"metric": self.metric, "mode": self.mode, "value": self.value, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if (state_dict["metric"], state_dict["mode"]) == (self.metric, self.mode):
            self.value, self.epoch = state_dict["value"], state_dict["epoch"]
            self.logged = self.value is not None
