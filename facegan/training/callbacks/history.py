"""What checkpoints and files say of the past: kept by a run that goes on, dropped by others."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from facegan.training.callbacks.objective import EarlyStopping, Objective
from facegan.training.callbacks.quality import Quality
from facegan.training.loggers.csv import forget_metrics_after

log = logging.getLogger(__name__)


class History(pl.Callback):
    """Has a ``resumed`` run go on where it was, and any other begin anew.

    The best checkpoint, the objective and early stopping know earlier scores only in the same run,
    and only if quality was measured in the same way. The rows of ``metrics.csv`` in ``run_dir``
    and in the callbacks' directories that are going to be written again are dropped: all of them
    for a run that was killed before its first checkpoint, and starts anew in its directory.
    ``record`` then notes the run's settings. Neither happens before everything is set up: a
    refused run loses nothing.
    """

    def __init__(self, run_dir: str, resumed: bool, record: Callable[[], None]) -> None:
        self.run_dir, self.resumed, self.record = Path(run_dir), resumed, record

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["data"] = _data_of(trainer)
        if trainer.should_stop and not trainer.is_last_batch:
            # trainer.max_time has cut the epoch short, which Lightning counts as a whole one.
            epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
            epochs["processed"] = epochs["ready"] - 1

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        if checkpoint.get("data", _data_of(trainer)) != _data_of(trainer):
            # Of an epoch of other data nothing is left to see: this run begins it.
            batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
            batches.update(dict.fromkeys(batches, 0))
        states = checkpoint["callbacks"]
        measured_alike = all(
            states.get(callback.state_key) in (None, callback.state_dict())
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(callback, Quality)
        )
        if self.resumed and not measured_alike and trainer.is_global_zero:
            log.warning("Quality is measured in another way than before: the best starts anew.")
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if not isinstance(callback, (ModelCheckpoint, Objective, EarlyStopping)):
                continue
            metric = getattr(callback, "monitor", None) or getattr(callback, "metric", None) or ""
            if not self.resumed or (metric.startswith("quality/") and not measured_alike):
                states.pop(callback.state_key, None)
            elif isinstance(callback, ModelCheckpoint) and callback.state_key in states:
                states[callback.state_key] = _moved(states[callback.state_key], callback)

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        # No other directories: a run may lie within that of another one.
        own = [Path(c.directory) for c in trainer.callbacks if hasattr(c, "directory")]  # type: ignore[attr-defined]
        seen = pl_module.images_seen if self.resumed else 0
        for directory in (self.run_dir, *own):
            forget_metrics_after(directory / "metrics.csv", seen)
        if pl_module.images_seen == 0:  # pictures of a run that was killed at once
            for directory in own:
                for stale in directory.glob("*_[0-9][0-9][0-9].png"):
                    stale.unlink()
        self.record()


def _data_of(trainer: pl.Trainer) -> str:
    """What decides which images an epoch has, and in which order."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return f"{data.store.path.name}, {len(data.train_rows())} images, seed {data.seed}"


def _moved(state: dict[str, Any], callback: ModelCheckpoint) -> dict[str, Any]:
    """The state with the paths of ``callback``: the run directory may have another name by now."""

    def here(path: str) -> str:
        return str(Path(str(callback.dirpath), Path(path).name)) if path else path

    return {
        **state,
        "dirpath": callback.dirpath,
        **{key: here(state[key]) for key in ("best_model_path", "kth_best_model_path")},
        "last_model_path": here(state["last_model_path"]),
        "best_k_models": {here(path): score for path, score in state["best_k_models"].items()},
    }
