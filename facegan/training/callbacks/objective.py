"""The metric that searches optimise and early stopping monitors."""

import math
from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl

from facegan.errors import InputError
from facegan.gan.settings import STEP_METRICS
from facegan.settings import Count, checked
from facegan.training.callbacks.measurement import Measurement, was_measured
from facegan.training.settings import ObjectiveSettings


class Objective(pl.Callback):
    """Remembers the best value that ``metric`` had at the end of an epoch.

    Attributes:
        value: the lowest (``mode`` "min") or highest ("max") so far; None if it was never logged,
            or never finite.
        epoch: the epoch after which it was measured, from 1.
        logged: whether ``metric`` was logged at all.
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

    @property
    def state_key(self) -> str:
        return f"Objective({self.mode} {self.metric})"  # values of another metric do not count

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.value, self.epoch = state_dict["value"], state_dict["epoch"]
        self.logged = self.value is not None


class EarlyStopping(pl.callbacks.EarlyStopping):
    """Lightning's EarlyStopping, with ``patience`` in measurements of ``monitor``, not epochs."""

    def __init__(self, monitor: str, mode: str, patience: int) -> None:
        checked("callbacks.early_stopping.patience", patience, Count)
        # strict=False: at the end of most epochs monitor may not have been measured yet.
        super().__init__(
            monitor, mode=mode, patience=patience, check_on_train_epoch_end=True, strict=False
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "patience": self.patience})  # may be another now

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if was_measured(trainer, self.monitor):
            super().on_train_epoch_end(trainer, pl_module)


def check_objective(objective: ObjectiveSettings, callbacks: Iterable[Any], needed: bool) -> None:
    """Raise InputError if the objective is ``needed`` or watched, but never measured."""
    callbacks = list(callbacks)
    watched = needed or any(isinstance(c, EarlyStopping) for c in callbacks)
    metric, family = objective.metric, objective.metric.partition("/")[0]
    if family in ("loss", "score") and metric not in STEP_METRICS:
        raise InputError(
            f"objective.metric={metric} is not measured: {', '.join(STEP_METRICS)} are."
        )
    measuring = {callback.family for callback in callbacks if isinstance(callback, Measurement)}
    if watched and family in ("quality", "clusters") and family not in measuring:
        raise InputError(
            f"The objective {metric} is not measured without the callback {family}: add it, as in "
            f"'callbacks=[checkpoints,{family}]', or name another metric in objective.metric."
        )
