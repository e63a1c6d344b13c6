"""What we read of Lightning's internals means what we take it for."""

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from facegan.lightning_internals import batches_done_in_epoch


class Counter(pl.LightningModule):
    """Asks in every step how many batches of the epoch are done."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.done: list[int] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.done.append(batches_done_in_epoch(self.trainer))

    def configure_optimizers(self) -> None:
        return None


def test_batches_done_in_epoch(tmp_path):
    model = Counter()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, DataLoader(torch.zeros(3, 1)))
    assert model.done == [0, 1, 2, 0, 1, 2]
    assert batches_done_in_epoch(trainer) == 0  # between epochs
