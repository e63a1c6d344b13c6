"""Trains the network that tells attributes or classes, and keeps it only once it is done."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping

from facegan.errors import interruptible
from facegan.features.classifier import Classifier
from facegan.files import alone
from facegan.gan.checkpoint import AtomicCheckpointIO
from facegan.training.callbacks.checkpoints import Checkpoints
from facegan.training.callbacks.progress import ProgressBar

if TYPE_CHECKING:
    from facegan.data.module import ImageDataModule


def train_classifier(
    network: Classifier,
    data: "ImageDataModule",
    path: Path,
    device: torch.device,
    max_epochs: int,
    patience: int,
) -> None:
    """Train ``network`` on ``data`` and write its best epoch, by the loss on val, to ``path``.

    ``patience``: epochs without a better one, after which it ends. Where another process has
    meanwhile written ``path``, that stays. Raises InterruptedRun on a signal: half a training is
    not to be taken for a whole one.
    """
    with alone(path), TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}_") as unfinished:
        if not path.is_file():
            best = _trained(network, data, Path(unfinished), device, max_epochs, patience)
            best.replace(path)


def _trained(
    network: Classifier,
    data: "ImageDataModule",
    directory: Path,
    device: torch.device,
    max_epochs: int,
    patience: int,
) -> Path:
    """The checkpoint of the best epoch, in ``directory``."""
    best = Checkpoints(
        str(directory), "best", every_n_epochs=1, keep=1, monitor="val/loss", weights_only=True
    )
    trainer = pl.Trainer(
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        max_epochs=max_epochs,
        callbacks=[best, EarlyStopping("val/loss", patience=patience), ProgressBar()],
        logger=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        plugins=[AtomicCheckpointIO()],
    )
    with interruptible(lambda: "the network is not finished, and is trained anew the next time"):
        trainer.fit(network, datamodule=data, weights_only=True)
    return Path(best.best_model_path)
