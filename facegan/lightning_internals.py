"""What facegan needs of Lightning beyond its public interface, so that an upgrade is one file.

Each function has a test that fails when Lightning 2.6's internals change.
"""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger


def finished_epochs(checkpoint: dict[str, Any]) -> int:
    """How many epochs had been trained in full when ``checkpoint`` was written."""
    return checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]


def mark_epoch_unfinished(checkpoint: dict[str, Any]) -> None:
    """Have a run that resumes from ``checkpoint`` finish the epoch in which it was written.

    Lightning counts an epoch that ``trainer.max_time`` cuts short as a whole one.
    """
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    epochs["processed"] = epochs["ready"] - 1


def restart_epoch(checkpoint: dict[str, Any]) -> None:
    """Have a run that resumes from ``checkpoint`` restart the interrupted epoch."""
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
    batches.update(dict.fromkeys(batches, 0))


def relocated(state: dict[str, Any], directory: str) -> dict[str, Any]:
    """The saved state of a ModelCheckpoint with its files in ``directory``, where they were moved.

    Lightning otherwise drops all it knows of the best checkpoint.
    """

    def moved(path: str) -> str:
        return str(Path(directory, Path(path).name)) if path else path

    paths = ("best_model_path", "kth_best_model_path", "last_model_path")
    best = {moved(path): score for path, score in state["best_k_models"].items()}
    own = {"dirpath": directory, "best_k_models": best}
    return state | {name: moved(state[name]) for name in paths} | own


def hide_events_after(logger: TensorBoardLogger, step: int) -> None:
    """Have TensorBoard hide what was logged after ``step``, which is about to be logged again.

    Takes effect if nothing has been logged through ``logger`` yet.
    """
    logger._kwargs["purge_step"] = step + 1


def take_over_sigterm(trainer: pl.Trainer) -> None:
    """Stop Lightning from asking all devices for SIGTERM before every batch.

    It broadcasts a tensor and waits for it, so that the CPU never runs ahead of a GPU. Only for
    callers that handle SIGTERM on every rank themselves.
    """
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


def batches_done_in_epoch(trainer: pl.Trainer) -> int:
    """Batches that a resumed checkpoint has seen of its interrupted epoch; 0 between epochs."""
    fit: Any = trainer.fit_loop
    epochs = fit.epoch_progress.current
    interrupted = epochs.ready > epochs.processed
    return fit.epoch_loop.batch_progress.current.processed if interrupted else 0


def step_number(trainer: pl.Trainer) -> int:
    """Number of the current training batch since the start of training, from 1.

    Unlike ``trainer.global_step`` it counts batches, not steps of optimizers.
    """
    return trainer.fit_loop.total_batch_idx + 1


def detects_anomalies(trainer: pl.Trainer) -> bool:
    """Whether the trainer was built with ``detect_anomaly=True``."""
    return trainer._detect_anomaly


def count_optimizer_steps(trainer: pl.Trainer, steps: int) -> None:
    """Advance ``trainer.global_step``, as steps of optimizers that bypass Lightning must.

    ModelCheckpoint saves only if it has advanced.
    """
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    for _ in range(steps):
        progress.increment_ready()
        progress.increment_completed()
