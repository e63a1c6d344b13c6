"""How good the generator is, after every n epochs: the numbers that choose the best checkpoint."""

import hashlib
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import Tensor

from facegan.errors import expect, expect_int
from facegan.files import append_csv, read_csv
from facegan.gan.latents import sample_latents
from facegan.pictures import plots
from facegan.pictures.sheets import save_png
from facegan.quality import report as quality_report
from facegan.quality.names import better
from facegan.quality.reference import ReferenceSet
from facegan.quality.scores import QualityResult
from facegan.quality.settings import QualitySettings
from facegan.training.callbacks.epoch_end import is_due, on_rank_zero, publish, ranks_of
from facegan.training.loggers import log_picture


class Quality(pl.Callback):
    """Measures images of the averaged generator, always of the same latents, against real ones.

    ``quality/*`` in the loggers and, with errors, ``metrics.csv`` in ``directory``; pictures where
    the metrics have some; ``curves.png`` at the end. Every ``every_n_epochs`` epochs and after the
    last. The numbers are those that ``facegan.evaluate`` gives with the same settings.

    Several devices share the reading; the first one measures, and all log its numbers. Training is
    not touched by it: neither its networks nor its random state.
    """

    family = "quality"  # of its metrics

    def __init__(self, directory: str, settings: QualitySettings, every_n_epochs: int = 1) -> None:
        expect_int("callbacks.quality.every_n_epochs", every_n_epochs, at_least=1)
        self.directory = Path(directory)
        self.settings = settings
        self.every_n_epochs = every_n_epochs

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Find the extractor; raises InputError where it does not fit the data, or a monitor it."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._reference = ReferenceSet(self.settings, data, trainer.strategy.root_device)
        measured = [f"quality/{name}" for name in self._reference.names()]
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            monitor = getattr(callback, "monitor", None) or ""
            if not monitor.startswith("quality/"):
                continue
            expect(
                monitor in measured,
                f"{monitor} is to be watched, but quality.metrics measure {', '.join(measured)}: "
                "name one of these in objective.metric, or choose other quality.metrics.",
            )
            direction = better(monitor.removeprefix("quality/"))
            expect(
                direction in (None, callback.mode),
                f"objective.mode={callback.mode} would keep the worst of {monitor}: "
                f"set objective.mode={direction}.",
            )

    def state_dict(self) -> dict[str, Any]:
        """How it measures, so that scores are compared with their like."""
        settings, extractor = self.settings, self._reference.extractor
        how: list[Any] = [settings.n, settings.real, settings.split, settings.seed]
        how += [settings.kid_subsets, settings.kid_subset_size, extractor.name, extractor.key]
        real = hashlib.sha256(self._reference.rows.tobytes()).hexdigest()[:12]
        return {"how": [*how, self._reference.data.store.path.name, real]}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if is_due(trainer, self.every_n_epochs):
            metrics = self._measure(trainer, pl_module, trainer.current_epoch + 1)
            publish(trainer, pl_module, metrics)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        rows = read_csv(self.directory / "metrics.csv")
        if not (trainer.is_global_zero and rows):
            return
        seen = [float(row["step"]) for row in rows]
        names = [name for name in rows[-1] if f"{name} error" in rows[-1]]
        panels = {name: {name: [float(row[name] or "nan") for row in rows]} for name in names}
        if panels:
            picture = plots.curves(seen, panels)
            save_png(picture, self.directory / "curves.png")
            log_picture(trainer.loggers, "quality/curves", picture, pl_module.images_seen)

    def _measure(self, trainer: pl.Trainer, pl_module: Any, epoch: int) -> dict[str, float]:
        """Measure, write the files, and return the metrics, on every rank the same."""
        began = perf_counter()
        z = sample_latents(self.settings.n, pl_module.settings.latent_dim, self.settings.seed)
        numbers = np.arange(len(z))

        def generated(part: np.ndarray) -> Tensor:
            return pl_module.sample(z[part])

        quiet = trainer.progress_bar_callback is None or not trainer.is_global_zero
        vectors = self._reference.vectors(generated, numbers, ranks_of(trainer), quiet)

        def score() -> dict[str, float]:
            result = self._reference.scores(vectors, generated, numbers)
            self._write(result, epoch, pl_module.images_seen, began)
            data = trainer.datamodule  # type: ignore[attr-defined]
            quality_report.write(result, generated, numbers, data, self.directory)
            return {f"quality/{name}": s.value for name, s in result.scores.items()}

        return on_rank_zero(trainer, score, "measure quality")

    def _write(self, result: QualityResult, epoch: int, seen: int, began: float) -> None:
        row: dict[str, Any] = {"epoch": epoch, "step": seen}
        for name, score in result.scores.items():
            row |= {name: score.value, f"{name} error": score.error}
        row["seconds"] = round(perf_counter() - began, 2)
        append_csv(self.directory / "metrics.csv", row)
