"""Detecting non-finite losses without waiting for the GPU at every step."""

import torch
from torch import Tensor

from facegan.errors import DivergedError


class Divergence:
    """Remembers the first training step with a non-finite loss, in a tensor on the loss's device.

    Only :meth:`check` reads the value and so synchronises with a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._step = torch.tensor(-1, device=device)

    def watch(self, loss: Tensor, step: int) -> None:
        """Take note of step number ``step`` if ``loss`` is the first that is not finite."""
        first = ~torch.isfinite(loss) & (self._step < 0)
        self._step = torch.where(first, step, self._step)

    def check(self, epoch: int, images_seen: int) -> None:
        """Raise DivergedError if a loss was not finite; ``epoch`` counts from 1."""
        if self._step >= 0:
            raise DivergedError(
                f"The loss became non-finite at training step {int(self._step):,} (epoch {epoch}, "
                f"about {images_seen:,} images seen); earlier checkpoints are intact. Lower "
                "model.lr_d and model.lr_g, or set model.clip=1, and start again from one of them."
            )
