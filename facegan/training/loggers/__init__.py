"""Where numbers and pictures go: metrics.csv, Weights & Biases, TensorBoard.

The x-axis is images seen everywhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers import TensorBoardLogger as LightningTensorBoardLogger


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
