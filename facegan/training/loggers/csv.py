"""metrics.csv in the run directory, continued by a resumed run."""

import csv
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.core.saving import save_hparams_to_yaml
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from facegan.files import read_csv, write_csv


class CSVLogger(Logger):
    """Writes ``metrics.csv`` and ``hparams.yaml`` into ``run_dir``; a resumed run adds to them.

    A row per call, on disk when the call returns. A new metric adds a column; the file is complete
    at any moment. (Lightning's own logger deletes the file of an earlier process.)
    """

    def __init__(self, run_dir: str) -> None:
        super().__init__()
        self._run_dir = Path(run_dir)
        self._columns: list[str] | None = None  # of the file; None: not looked at yet
        self._hparams: dict[str, Any] = {}

    @property
    def name(self) -> None:
        """None: Lightning's name for a directory within ``save_dir``."""

    @property
    def version(self) -> None:
        """None: Lightning's name for a directory within ``name``."""

    @property
    def save_dir(self) -> str:
        return str(self._run_dir)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        # Written with the first row: a run that is refused before that leaves no file.
        self._hparams |= vars(params) if isinstance(params, Namespace) else params

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        path = self._run_dir / "metrics.csv"
        if self._columns is None:
            self._run_dir.mkdir(parents=True, exist_ok=True)
            save_hparams_to_yaml(self._run_dir / "hparams.yaml", self._hparams)
            self._columns = _header(path)
        row = {**metrics, "step": step}
        new = sorted(row.keys() - set(self._columns))
        if new or not path.is_file():
            self._columns = [*self._columns, *new]
            write_csv(path, self._columns, [*read_csv(path), row])
            return
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)


def _header(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def forget_metrics_after(path: Path, images_seen: int) -> None:
    """Drop the rows of a ``metrics.csv`` that a run which starts at ``images_seen`` writes again.

    At 0 these are all rows, including what was measured before training.
    """
    rows = read_csv(path)
    if not rows:  # at most a header, which an open logger relies on
        return
    kept = [row for row in rows if row["step"].isdigit() and int(row["step"]) <= images_seen]
    write_csv(path, list(rows[0]), kept if images_seen > 0 else [])
