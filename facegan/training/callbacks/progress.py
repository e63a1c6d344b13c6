"""The progress bar, lines in its place, and images per second as a metric."""

import logging
from time import perf_counter
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.utilities import rank_zero_only

from facegan.training.callbacks.measurement import record

log = logging.getLogger(__name__)

REFRESH_SECONDS = 0.1  # between two updates of the bar
LINE_SECONDS = 60  # between two lines within an epoch


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


class ProgressLines(pl.Callback):
    """In place of the bar where nobody watches it: a line an epoch, in long ones one a minute."""

    _said = float("-inf")

    @rank_zero_only
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._said = perf_counter()

    @rank_zero_only
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if perf_counter() - self._said > LINE_SECONDS and not trainer.is_last_batch:
            self._say(trainer, pl_module, f", batch {batch_idx + 1}/{trainer.num_training_batches}")

    @rank_zero_only
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._say(trainer, pl_module)

    def _say(self, trainer: pl.Trainer, pl_module: Any, where: str = "") -> None:
        self._said = perf_counter()
        of = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        facts = [f"{name} {float(v):.4g}" for name, v in trainer.progress_bar_metrics.items()]
        speed = trainer.callback_metrics.get("speed/images_per_second")
        if speed is not None and not where:
            facts.append(f"{float(speed):,.0f} images/s")
        said = ", ".join([f"{pl_module.images_seen:,} images", *facts])
        log.info("Epoch %d%s%s: %s", trainer.current_epoch + 1, of, where, said)


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
