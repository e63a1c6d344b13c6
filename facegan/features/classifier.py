"""The label network: predicts attributes or classes with D's layers, trained end to end.

It is the reference for linear probes on D's features, and labels generated images.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.classification import binary_accuracy, multiclass_accuracy

from facegan.errors import InputError
from facegan.networks.dcgan import Discriminator


class Classifier(pl.LightningModule):
    """D's layers with one logit per attribute or class.

    Batches are ``(images, targets)`` with images float in [-1, 1]; targets are attributes (N, A)
    or classes (N,).

    Args:
        width: feature maps of the first layer.
        names: of the attributes, or of the one label that has ``classes``.
        columns: of the data's labels that hold them.
        prevalence: share of the training images that have each attribute or class (heads,).
        classes: names of the classes; ``None``: attributes are predicted.
        weights: (heads,) in the loss: of an attribute's 1 against its 0, or of each class.
        blocks: how often the image is halved; ``None``: chosen from its size.
        made_from: the data and settings that determine the network, as text.
    """

    seen_prevalence: Tensor  # predicted for the validation images (heads,); nan before validation

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int,
        names: Sequence[str],
        columns: Sequence[int],
        prevalence: Sequence[float],
        classes: Sequence[str] | None = None,
        weights: Sequence[float] | None = None,
        blocks: int | None = None,
        lr: float = 1e-3,
        made_from: str = "",
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        heads = len(names) if classes is None else len(classes)
        network = Discriminator(image_size, channels, width, blocks)
        logit = network.logit
        network.logit = nn.Conv2d(logit.in_channels, heads, logit.kernel_size)  # type: ignore[arg-type]
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("weights", None if weights is None else torch.tensor(weights))
        self.register_buffer("seen_prevalence", torch.full((heads,), torch.nan))
        self._predicted: list[Tensor] = []

    @property
    def settings(self) -> Any:
        """The arguments of ``__init__``, as attributes."""
        return self.hparams

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, heads)."""
        return self.network.logit(self.network.layers(images)).flatten(1)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """:meth:`forward` in float32 and without gradients, for reading many images."""
        return self(images).float()

    def probabilities(self, images: Tensor) -> Tensor:
        """Probability of each attribute or class: (N, heads) in [0, 1]."""
        logits = self(images)
        return logits.sigmoid() if self.settings.classes is None else logits.softmax(1)

    def _loss(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and accuracy for all label columns (N, L) of the data."""
        targets = labels[:, list(self.settings.columns)]
        weights: Any = self.weights
        if self.settings.classes is not None:
            targets = targets[:, 0].long()
            accuracy = multiclass_accuracy(logits, targets, logits.shape[1], average="micro")
            return F.cross_entropy(logits, targets, weights), accuracy
        accuracy = binary_accuracy(logits, targets.int())
        loss = F.binary_cross_entropy_with_logits(logits, targets.float(), pos_weight=weights)
        return loss, accuracy

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss, _ = self._loss(self(batch[0]), batch[1])
        self.log("loss", loss, prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        self._predicted = []

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        logits = self(batch[0])
        loss, accuracy = self._loss(logits, batch[1])
        self.log("val/loss", loss, batch_size=len(logits))
        self.log("val/accuracy", accuracy, prog_bar=True, batch_size=len(logits))
        self._predicted.append(predict(logits, self.settings.classes is not None))

    def on_validation_epoch_end(self) -> None:
        self.seen_prevalence.copy_(torch.cat(self._predicted).float().mean(0))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.settings.lr, weight_decay=1e-2)


def predict(logits: Tensor, multiclass: bool) -> Tensor:
    """Predictions for logits (N, heads): True for every attribute present, or for the one class."""
    if multiclass:
        return F.one_hot(logits.argmax(1), logits.shape[1]).bool()
    return logits > 0


def balancing(prevalence: Tensor, multiclass: bool) -> Tensor:
    """Loss weights (heads,) that make rare values count as much as frequent ones, up to tenfold.

    Of 1 against 0 for each attribute, or of each class.
    """
    rare = torch.full_like(prevalence, 1 / len(prevalence)) if multiclass else 1 - prevalence
    return (rare / prevalence.clamp_min(1e-3)).clamp(0.1, 10)


def load_classifier(path: Path, device: torch.device | str) -> Classifier:
    """The label network in the file ``path``, in eval mode; InputError if there is none."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        with torch.random.fork_rng(devices=[]):  # the initial weights, which are overwritten
            network = Classifier(**saved["hyper_parameters"])
        network.load_state_dict(saved["state_dict"])
    except Exception as error:  # torch raises a dozen kinds, from zip to pickle
        raise InputError(f"{path} is not a label classifier: {error}") from error
    return network.to(device).eval()
