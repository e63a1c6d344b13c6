"""Training a label network: the loop that every use of it shares."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.plugins.io import CheckpointIO

from facegan.errors import interruptible
from facegan.features.classifier import Classifier
from facegan.files import on_terminal


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch on the CPU and on ``device``; restore the random states at the end."""
    cuda = [device.index or 0] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        if device is not None and device.type == "mps":
            torch.mps.manual_seed(seed)  # fork_rng does not know it: this one is not restored
        yield


def fit_classifier(
    network: Classifier,
    data: pl.LightningDataModule,
    directory: Path,
    device: torch.device,
    max_epochs: int,
    patience: int,
    checkpoint_io: CheckpointIO,
) -> Path:
    """Train ``network`` on ``data``; returns the file of the epoch with the lowest loss on val.

    Args:
        directory: for that file.
        patience: epochs without a lower loss, after which training stops.
        checkpoint_io: writes it.

    Raises InterruptedRun on a signal.
    """
    best = ModelCheckpoint(directory, "best", monitor="val/loss", save_weights_only=True)
    trainer = pl.Trainer(
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        max_epochs=max_epochs,
        callbacks=[
            best,
            EarlyStopping("val/loss", patience=patience),
            # It shows the loss: a GPU waits for each.
            *([TQDMProgressBar(refresh_rate=10)] if on_terminal() else []),
        ],
        enable_progress_bar=on_terminal(),
        logger=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        plugins=[checkpoint_io],
    )
    state = "the network is not finished and will be trained from the start the next time"
    with interruptible(lambda: state):
        trainer.fit(network, datamodule=data, weights_only=True)
    return Path(best.best_model_path)
