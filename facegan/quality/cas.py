"""Classification accuracy score: train a network on generated images, to be tested on real ones."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from facegan.features.classifier import Classifier, balancing, load_classifier
from facegan.features.extractors import LabelNetwork
from facegan.features.stream import Images, read_all
from facegan.features.training import fit_classifier, seeded
from facegan.gan.checkpoint import AtomicCheckpointIO
from facegan.pictures.scaling import to_float, to_uint8
from facegan.quality.metrics.adherence import Asked

MAX_EPOCHS, PATIENCE, BATCH_SIZE = 10, 2, 64  # those that the label network has by default


def train_on_generated(
    asked: Asked,
    images_of: Images,
    numbers: np.ndarray,
    like: LabelNetwork,
    device: torch.device,
    *,
    flip: bool,
    seed: int,
) -> Classifier:
    """A network like the label network, trained on generated images and what was ``asked`` for.

    Ravuri & Vinyals 2019 (arXiv:1905.10887). No real image takes part: the last tenth of the
    generated ones chooses the epoch.

    Args:
        images_of, numbers: the generated images, one for each row of ``asked``.
        like: same width, blocks, learning rate and weighting.
        flip: mirror half of the images, as in the training of the label network.
        seed: of the first weights and of the order of the images.

    Raises InterruptedRun on a signal.
    """
    settings = like.settings
    images = read_all(
        lambda part: to_uint8(part).cpu(), images_of, numbers, "Images to train a network on"
    )
    prevalence = asked.targets().float().mean(0)
    weights = balancing(prevalence, bool(asked.classes)) if settings.weights is not None else None
    with seeded(seed, device), TemporaryDirectory() as directory:
        network = Classifier(
            settings.image_size,
            settings.channels,
            settings.width,
            list(asked.names),
            list(range(len(asked.names))),
            prevalence.tolist(),
            classes=list(asked.classes) or None,
            weights=None if weights is None else weights.tolist(),
            blocks=settings.blocks,
            lr=settings.lr,
        )
        data = _Generated(images, asked.values, flip)
        path = fit_classifier(
            *(network, data, Path(directory), device, MAX_EPOCHS, PATIENCE, AtomicCheckpointIO())
        )
        return load_classifier(path, device)


class _Generated(pl.LightningDataModule):
    """Images uint8 (N, C, H, W) with labels (N, L): all but the last tenth are trained on."""

    def __init__(self, images: Tensor, labels: Tensor, flip: bool) -> None:
        super().__init__()
        self.flip = flip
        train = len(images) - len(images) // 10
        self._train = TensorDataset(images[:train], labels[:train])
        self._val = TensorDataset(images[train:], labels[train:])

    def train_dataloader(self) -> DataLoader:
        size = min(BATCH_SIZE, len(self._train))
        return DataLoader(self._train, size, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self._val, BATCH_SIZE)

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, Tensor], dataloader_idx: int = 0
    ) -> tuple[Tensor, Tensor]:
        images, labels = batch
        assert self.trainer is not None
        if self.flip and self.trainer.training:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        return to_float(images), labels
