"""Where numbers and pictures go: metrics.csv, Weights & Biases, TensorBoard.

The x-axis is images seen everywhere.
"""

import csv
import logging
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import CSVLogger as LightningCSVLogger
from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers import TensorBoardLogger as LightningTensorBoardLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from facegan.files import read_csv, replacing, write_csv

log = logging.getLogger(__name__)


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


class TensorBoardLogger(LightningTensorBoardLogger):
    """TensorBoard's event files in the run directory."""

    def go_on_after(self, images_seen: int) -> None:
        """Have TensorBoard hide what was written after that: it is going to be written again."""
        self._kwargs["purge_step"] = images_seen + 1 if images_seen > 0 else 0


def forget_metrics_after(path: Path, images_seen: int) -> None:
    """Drop the rows of a ``metrics.csv`` that a run which begins at ``images_seen`` writes again.

    At 0 that is all of them: what is measured before training, too.
    """
    rows = read_csv(path)
    if not rows:  # at most a header, which a logger that is open already relies on
        return
    kept = [row for row in rows if row["step"].isdigit() and int(row["step"]) <= images_seen]
    write_csv(path, list(rows[0]), kept if images_seen > 0 else [])


def wandb_logger(run_dir: str, project: str, name: str | None = None, **options: Any) -> Logger:
    """Weights & Biases: online if there is a key, else recorded offline; it never asks.

    ``WANDB_MODE`` decides where it is set. ``options`` go to ``wandb.init``. A resumed run goes on
    as the same run: its id is kept in ``run_dir``.
    """
    import wandb  # here, because it takes a second that other loggers need not wait
    from pytorch_lightning.loggers import WandbLogger

    class ImagesSeenLogger(WandbLogger):
        @property
        @rank_zero_experiment
        def experiment(self) -> Any:
            if self._experiment is not None:
                return self._experiment
            try:
                run = super().experiment
            except (wandb.errors.CommError, wandb.errors.UsageError, TimeoutError) as error:
                log.warning("Weights & Biases cannot be reached (%s).", error)
                log.info("Weights & Biases: %s", offline)
                self._wandb_init["mode"] = "offline"
                run = super().experiment
            if hasattr(run, "define_metric"):
                run.define_metric("images_seen")
                run.define_metric("*", step_metric="images_seen", step_sync=True)
            return run

        def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
            values: dict[str, Any] = {**metrics, "images_seen": step}
            super().log_metrics(values, step)

    offline = f"offline; upload it later with: wandb sync {run_dir}/wandb/offline-run-*"
    mode = os.environ.get("WANDB_MODE") or ("online" if _has_key(wandb) else "offline")
    log.info("Weights & Biases: %s", offline if mode == "offline" else mode)
    return ImagesSeenLogger(
        save_dir=run_dir,
        project=project,
        name=name,
        mode=mode,
        id=_kept_id(Path(run_dir) / "wandb" / "id.txt"),
        resume="allow",
        settings=wandb.Settings(silent=True, init_timeout=20),
        **options,
    )


def _has_key(wandb: Any) -> bool:
    """Whether Weights & Biases knows who this is: it neither asks nor looks on the network."""
    try:
        return wandb.login(prompt=False, verify=False)
    except wandb.errors.AuthenticationError as error:
        log.warning("Weights & Biases: %s", error)
        return False


def _kept_id(path: Path) -> str | None:
    if not path.is_file() and getattr(rank_zero_only, "rank", 0) == 0:
        with replacing(path) as partial:
            partial.write_text(secrets.token_hex(4))
    return path.read_text() if path.is_file() else None  # only rank 0 needs it


def finish() -> None:
    """End the W&B run, if there is one: the next run of a multirun would otherwise join it."""
    if "wandb" in sys.modules:
        sys.modules["wandb"].finish()


def log_metrics(loggers: Iterable[Logger], metrics: Mapping[str, float], images_seen: int) -> None:
    """Write numbers to every logger at once.

    Lightning's ``log`` writes those of an epoch's end after its checkpoint: a run killed between
    the two would go on without them.
    """
    for logger in loggers:
        logger.log_metrics(dict(metrics), step=images_seen)
        logger.save()


def log_picture(loggers: Iterable[Logger], key: str, image: Image.Image, images_seen: int) -> None:
    """Show a picture in every logger that shows pictures."""
    for logger in loggers:
        if isinstance(logger, LightningTensorBoardLogger):
            pixels = np.asarray(image.convert("RGB"))
            logger.experiment.add_image(key, pixels, images_seen, dataformats="HWC")
        elif hasattr(logger, "log_image"):
            logger.log_image(key, [image], step=images_seen)


def log_table(
    loggers: Iterable[Logger],
    key: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    images_seen: int,
) -> None:
    """Show a table in every logger that shows tables; in TensorBoard, as text."""
    for logger in loggers:
        if isinstance(logger, LightningTensorBoardLogger):
            lines = [columns, ["---"] * len(columns), *rows]
            text = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
            logger.experiment.add_text(key, text, images_seen)
        elif hasattr(logger, "log_table"):
            logger.log_table(key, list(columns), [list(row) for row in rows], step=images_seen)
