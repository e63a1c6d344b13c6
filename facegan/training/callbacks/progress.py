"""The progress bar, and images per second as a metric."""

from time import perf_counter
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from facegan.training.callbacks.measurement import record

REFRESH_SECONDS = 0.1  # between two updates of the bar


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the number of images seen, and epochs counted from 1.

    Updated at most ten times a second: it shows losses, for which the CPU has to wait for a GPU.
    """

    _updated = float("-inf")

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        if trainer.is_last_batch or perf_counter() - self._updated > REFRESH_SECONDS:
            super().on_train_batch_end(trainer, *arguments)
            self._updated = perf_counter()

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
    """Records ``speed/images_per_second`` of all devices together, once an epoch.

    The time of training steps alone, without that of pictures, clusters and quality.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._began, self._seen = perf_counter(), pl_module.images_seen  # if resumed mid-epoch
        self._ended = self._began

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._began, self._seen = perf_counter(), pl_module.images_seen

    def on_train_batch_end(self, *_: Any) -> None:
        self._ended = perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        seconds = max(self._ended - self._began, 1e-9)
        rate = (pl_module.images_seen - self._seen) / seconds
        record(trainer, pl_module, "speed", {"images_per_second": rate})
