"""metrics.csv in the run directory, continued by a resumed run."""

import csv
from pathlib import Path
from typing import cast

from pytorch_lightning.loggers import CSVLogger as LightningCSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment

from facegan.files import read_csv, write_csv


class CSVLogger(LightningCSVLogger):
    """``metrics.csv`` in the run directory, which a resumed run continues.

    Lightning's own deletes the file it finds.
    """

    def __init__(self, run_dir: str) -> None:
        super().__init__(save_dir=run_dir, name="", version="", flush_logs_every_n_steps=1)

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        if self._experiment is None:
            self._experiment = _ContinuedWriter(log_dir=self.log_dir)
        return cast(ExperimentWriter, self._experiment)


class _ContinuedWriter(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                self.metrics_keys = next(csv.reader(file), [])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        # Lightning's own empties the file first, for a kill to leave it so.
        path = Path(self.metrics_file_path)
        write_csv(path, fieldnames, read_csv(path))


def forget_metrics_after(path: Path, images_seen: int) -> None:
    """Drop the rows of a ``metrics.csv`` that a run which begins at ``images_seen`` writes again.

    At 0 that is all of them: what is measured before training, too.
    """
    rows = read_csv(path)
    if not rows:  # at most a header, which a logger that is open already relies on
        return
    kept = [row for row in rows if row["step"].isdigit() and int(row["step"]) <= images_seen]
    write_csv(path, list(rows[0]), kept if images_seen > 0 else [])
