"""Loggers of metrics and pictures: metrics.csv, Weights & Biases, TensorBoard.

The x-axis is images seen everywhere.
"""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pytorch_lightning.loggers import Logger

from facegan import __version__


def log_configuration(loggers: Iterable[Logger], config: Mapping[str, Any]) -> None:
    """Hand the resolved configuration (plain values), version and commit to W&B and TensorBoard.

    Call it before ``trainer.fit``. Nothing is written or sent before training begins, so that a run
    that is refused leaves nothing behind.
    """
    config = {**config, "facegan": {"version": __version__, "commit": _commit()}}
    for logger in loggers:
        if hasattr(logger, "log_configuration"):
            logger.log_configuration(config)


def _commit() -> str | None:
    """The git commit of this code, with "-dirty" if files were changed since; None if unknown."""
    checkout = Path(__file__).parents[3]
    if not (checkout / ".git").exists():  # installed, perhaps within another repository
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def rewind(loggers: Iterable[Logger], images_seen: int) -> None:
    """Before a run resumes at ``images_seen``: hide what it will log again, where that is possible.

    Rows of ``metrics.csv`` are deleted later, by ResumePolicy, once everything is set up.
    """
    for logger in loggers:
        if hasattr(logger, "rewind"):
            logger.rewind(images_seen)


def close(loggers: Iterable[Logger]) -> None:
    """End loggers that upload: what they are told, and what they wait for, comes last."""
    for logger in loggers:
        if hasattr(logger, "close"):
            logger.close()


def log_metrics(loggers: Iterable[Logger], metrics: Mapping[str, float], images_seen: int) -> None:
    """Write ``metrics`` to every logger at once.

    Lightning's own ``log`` writes what an epoch's end logs after that epoch's checkpoint: a run
    killed between the two would resume without it.
    """
    for logger in loggers:
        logger.log_metrics(dict(metrics), step=images_seen)
        logger.save()


def log_picture(loggers: Iterable[Logger], key: str, image: Image.Image, images_seen: int) -> None:
    """Show ``image`` in loggers that have ``log_image``."""
    for logger in loggers:
        if hasattr(logger, "log_image"):
            logger.log_image(key, [image], step=images_seen)


def log_table(
    loggers: Iterable[Logger],
    key: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    images_seen: int,
) -> None:
    """Show a table in loggers that have ``log_table``."""
    for logger in loggers:
        if hasattr(logger, "log_table"):
            logger.log_table(key, list(columns), [list(row) for row in rows], step=images_seen)
