"""How far and how fast: the progress bar, and images per second in the log."""

from time import perf_counter
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from facegan.training.callbacks.epoch_end import publish


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the images a GAN has seen, and epochs counted from 1.

    Drawn at most ten times a second: it shows losses, for which the CPU has to wait for a GPU.
    """

    _drawn = float("-inf")

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        if trainer.is_last_batch or perf_counter() - self._drawn > 0.1:
            super().on_train_batch_end(trainer, *arguments)
            self._drawn = perf_counter()

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        super().on_train_epoch_start(trainer)
        of = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        self.train_progress_bar.set_description(f"Epoch {trainer.current_epoch + 1}{of}")

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: Any
    ) -> dict[str, int | str | float | dict[str, float]]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        seen = getattr(pl_module, "images_seen", None)
        return metrics if seen is None else {"images": f"{seen:,}", **metrics}


class Throughput(pl.Callback):
    """Logs ``speed/images_per_second`` of all devices together, once an epoch.

    Of training alone: not the time that other callbacks take for pictures, clusters and quality.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._began, self._seen = perf_counter(), pl_module.images_seen  # of a resumed epoch
        self._ended = self._began

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._began, self._seen = perf_counter(), pl_module.images_seen

    def on_train_batch_end(self, *_: Any) -> None:
        self._ended = perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        images: Any = pl_module.images_seen - self._seen
        seconds = max(self._ended - self._began, 1e-9)
        publish(trainer, pl_module, {"speed/images_per_second": images / seconds})
