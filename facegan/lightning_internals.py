"""What facegan uses of PyTorch Lightning's undocumented attributes: an upgrade is checked here."""

import pytorch_lightning as pl


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
