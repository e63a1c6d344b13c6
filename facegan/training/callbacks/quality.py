"""Quality of the generator after every n epochs, which selects the best checkpoint."""

import hashlib
from typing import Any

import numpy as np
import pytorch_lightning as pl
from PIL import Image
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from facegan.errors import InputError
from facegan.features.stream import Ranks
from facegan.pictures import plots
from facegan.quality import report as quality_report
from facegan.quality.measuring import check_asked
from facegan.quality.metrics.adherence import Asked
from facegan.quality.names import better
from facegan.quality.reference import ReferenceSet, Vectors
from facegan.quality.settings import QualitySettings
from facegan.training.callbacks.measurement import Measurement, Row


class Quality(Measurement):
    """Compares images of the averaged generator, always of the same latents, with real images.

    After every ``every_n_epochs`` epochs and after the last. Writes into ``directory``: the scores
    with their errors (``metrics.csv``), pictures where a metric has some, and ``curves.png`` at the
    end. The scores are those of ``facegan.evaluate`` with the same settings.
    """

    family = "quality"

    def __init__(self, directory: str, settings: QualitySettings, every_n_epochs: int = 1) -> None:
        super().__init__(directory, settings, every_n_epochs)
        if "cas" in settings.metrics:
            raise InputError(
                f"{settings.key('metrics')}: cas trains a network of its own, which takes too long "
                "after an epoch; leave it out, and measure it with facegan.evaluate."
            )

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Load the extractor.

        Raises InputError where it does not fit the data, or where a callback monitors a metric that
        is not measured, or in the wrong direction.
        """
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._reference = ReferenceSet(self.settings, data, trainer.strategy.root_device)
        n, seed = self.settings.n, self.settings.seed
        check_asked(self.settings, self._reference.extractor, Asked.of(pl_module, n, seed))
        measured = [f"quality/{name}" for name in self._reference.names()]
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, ModelCheckpoint | EarlyStopping):
                _check_monitor(str(callback.monitor), callback.mode, measured)

    def state_dict(self) -> dict[str, Any]:
        """How quality is measured: scores that were measured in another way are not compared."""
        settings, extractor = self.settings, self._reference.extractor
        how: list[Any] = [settings.n, settings.real, settings.split, settings.seed]
        how += [settings.kid_subsets, settings.kid_subset_size, extractor.name, extractor.key]
        real = hashlib.sha256(self._reference.rows.tobytes()).hexdigest()[:12]
        return {"how": [*how, self._reference.data.store.path.name, real]}

    def read(self, trainer: pl.Trainer, module: Any, ranks: Ranks) -> Vectors:
        self._images_of = module.images_of(self.settings.n, self.settings.seed)
        return self._reference.vectors(self._images_of, np.arange(self.settings.n), ranks)

    def score(
        self, trainer: pl.Trainer, module: Any, epoch: int, found: Vectors
    ) -> tuple[Row, Row]:
        images_of, numbers = self._images_of, np.arange(self.settings.n)
        asked = Asked.of(module, self.settings.n, self.settings.seed)
        result = self._reference.scores(found, images_of, numbers, asked)
        data = trainer.datamodule  # type: ignore[attr-defined]
        quality_report.write(result, images_of, numbers, data, self.directory)
        scores = {name: score.value for name, score in result.scores.items()}
        return scores, {f"{name} error": score.error for name, score in result.scores.items()}

    def curves(self, rows: list[dict[str, str]]) -> Image.Image | None:
        """A panel for each score over images seen."""
        seen = [float(row["step"]) for row in rows]
        names = [name for name in rows[-1] if f"{name} error" in rows[-1]]
        panels = {name: {name: [float(row[name] or "nan") for row in rows]} for name in names}
        return plots.curves(seen, panels) if panels else None


def _check_monitor(monitor: str, mode: str, measured: list[str]) -> None:
    if not monitor.startswith("quality/"):
        return
    if monitor not in measured:
        raise InputError(
            f"{monitor} is monitored, but quality.metrics measures {', '.join(measured)}: "
            "name one of these in objective.metric, or choose other quality.metrics."
        )
    direction = better(monitor.removeprefix("quality/"))
    if direction not in (None, mode):
        raise InputError(
            f"objective.mode={mode} would keep the worst of {monitor}: "
            f"set objective.mode={direction}."
        )
