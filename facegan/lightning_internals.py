"""Attributes of pytorch-lightning that are not part of its public interface, read in one place.

The version is bounded in pyproject.toml (<2.7); ``tests/test_lightning_internals.py`` fails where
an upgrade moves one of them.
"""

from typing import Any

import pytorch_lightning as pl


def batches_done_in_epoch(trainer: pl.Trainer) -> int:
    """Batches that a resumed checkpoint has seen of its interrupted epoch; 0 between epochs."""
    fit: Any = trainer.fit_loop
    epochs = fit.epoch_progress.current
    interrupted = epochs.ready > epochs.processed
    return fit.epoch_loop.batch_progress.current.processed if interrupted else 0
