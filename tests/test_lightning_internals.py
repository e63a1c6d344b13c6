"""Each use of Lightning's undocumented attributes, so that an upgrade that breaks one is seen."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from facegan import lightning_internals as internals

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


class TwoUpdates(pl.LightningModule):
    """Two batches an epoch, in each of which two optimizer steps bypass Lightning."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.automatic_optimization = False
        self.steps: list[tuple[int, int]] = []

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.steps.append((internals.step_number(self.trainer), self.trainer.global_step))
        internals.count_optimizer_steps(self.trainer, 2)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())

    def train_dataloader(self) -> DataLoader:
        return DataLoader(torch.zeros(2, 1))


def test_steps_are_numbered_and_counted_across_epochs():
    module = TwoUpdates()
    trainer = pl.Trainer(max_epochs=2, **QUIET)
    trainer.fit(module)
    assert module.steps == [(1, 0), (2, 2), (3, 4), (4, 6)]
    assert trainer.global_step == 8


@pytest.mark.parametrize("detect", [True, False])
def test_detection_of_anomalies_is_seen(detect: bool):
    trainer = pl.Trainer(detect_anomaly=detect, **QUIET)
    assert internals.detects_anomalies(trainer) is detect
