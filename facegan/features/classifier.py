"""A network that tells attributes or classes, of D's size and shape, trained end to end.

The reference that features are measured against, and the in-house reader of labels.
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
    """D's layers with as many outputs as there is to tell.

    Batches are ``(images, targets)`` with images float in [-1, 1]; targets are attributes (N, A)
    or classes (N,).

    Args:
        names: of the attributes, or of the one label that has ``classes``.
        columns: of the data's labels that hold them.
        prevalence: of each head in the training images.
        weights: for each attribute, how much more a yes counts than a no; for each class, how much
            it counts.
        made_from: what determines the network beside these: data and settings, as text.
    """

    seen_prevalence: Tensor  # of what this network says of the validation images, by head

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
        """As :meth:`forward`, float32 and without gradients: to read many images."""
        return self(images).float()

    def probabilities(self, images: Tensor) -> Tensor:
        """How likely each attribute or class is: (N, heads) in [0, 1]."""
        logits = self(images)
        return logits.sigmoid() if self.settings.classes is None else logits.softmax(1)

    def _loss(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and the accuracy."""
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
    """What logits (N, heads) amount to: True for every attribute present, or for the one class."""
    if multiclass:
        return F.one_hot(logits.argmax(1), logits.shape[1]).bool()
    return logits > 0


def balancing(prevalence: Tensor, multiclass: bool) -> Tensor:
    """Weights (heads,) by which the rare counts as much as the common, within a factor of ten.

    Of a yes against a no for each attribute, or of each class.
    """
    rare = torch.full_like(prevalence, 1 / len(prevalence)) if multiclass else 1 - prevalence
    return (rare / prevalence.clamp_min(1e-3)).clamp(0.1, 10)


def load_classifier(path: Path, device: torch.device | str) -> Classifier:
    """The network of a checkpoint, in eval mode; raises InputError if it is none."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        network = Classifier(**saved["hyper_parameters"])
        network.load_state_dict(saved["state_dict"])
    except Exception as error:  # torch raises a dozen kinds, from zip to pickle
        raise InputError(f"{path} is no network that tells labels: {error}") from error
    return network.to(device).eval()
