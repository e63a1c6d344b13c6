"""The tables of a run that goes on."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from facegan.loggers import forget_metrics_after


class History(pl.Callback):
    """Drops the rows of every ``metrics.csv`` in ``run_dir`` that this run is going to write again.

    All of them, unless it is ``resumed``: a run that was killed before its first checkpoint starts
    anew in its directory. Not before everything is set up, so that a refused run loses nothing.
    """

    def __init__(self, run_dir: str, resumed: bool) -> None:
        self.run_dir, self.resumed = Path(run_dir), resumed

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        forget_metrics_after(self.run_dir, pl_module.images_seen if self.resumed else -1)
