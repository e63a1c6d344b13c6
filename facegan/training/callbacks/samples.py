"""Pictures of the training: the fixed grid after every epoch, some real images, the timeline."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from facegan.pictures.scaling import to_uint8
from facegan.pictures.sheets import IMAGES_SEEN, captioned, grid, read_text, save_png
from facegan.settings import Count, checked
from facegan.training.callbacks.measurement import is_due
from facegan.training.loggers import log_picture


class Samples(pl.Callback):
    """Writes ``epoch_NNN.png``, ``reals.png`` and ``timeline.png`` into ``directory``.

    The grid shows the same latents every time: before training (``epoch_000.png``), after every
    ``every_n_epochs`` epochs and after the last. It also goes to W&B and TensorBoard. A conditional
    generator has a row for each condition, the same latents in all of them, and
    ``conditions.png`` shows the last grid with the names of its rows.
    """

    def __init__(self, directory: str, every_n_epochs: int = 1, columns: int = 8) -> None:
        self.every_n_epochs = checked("callbacks.samples.every_n_epochs", every_n_epochs, Count)
        self.columns = checked("callbacks.samples.columns", columns, Count)
        self.directory = Path(directory)

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.images_seen > 0 and (self.directory / "reals.png").exists():  # resumed
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        reals = data.raw_images(data.train_rows()[: self.columns**2])
        save_png(grid(reals, self.columns), self.directory / "reals.png")
        self._write_grid(trainer, pl_module, epoch=trainer.current_epoch)

    @rank_zero_only
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if is_due(trainer, self.every_n_epochs):
            self._write_grid(trainer, pl_module, trainer.current_epoch + 1)

    @rank_zero_only
    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        sheet = timeline(self.directory, self.columns)
        if sheet is not None:
            save_png(sheet, self.directory / "timeline.png")
            log_picture(trainer.loggers, "timeline", sheet, pl_module.images_seen)

    def _write_grid(self, trainer: pl.Trainer, pl_module: Any, epoch: int) -> None:
        seen, rows = pl_module.images_seen, pl_module.conditions.shown()
        images = to_uint8(_images(pl_module, [values for _, values in rows], self.columns))
        sheet = grid(images, self.columns)
        save_png(sheet, self.directory / f"epoch_{epoch:03d}.png", **{IMAGES_SEEN: seen})
        if rows:
            strips = [grid(strip, self.columns) for strip in images.split(self.columns)]
            sheet = captioned([(row[0], strip) for row, strip in zip(rows, strips, strict=True)])
            save_png(sheet, self.directory / "conditions.png", **{IMAGES_SEEN: seen})
        log_picture(trainer.loggers, "samples", sheet, seen)


def _images(module: Any, rows: Sequence[np.ndarray], columns: int) -> Tensor:
    """The fixed grid; with ``rows`` of conditions, the first latents for each of them."""
    if not rows:
        return module.sample()
    labels = torch.from_numpy(np.stack(rows)).repeat_interleave(columns, 0)
    return module.sample(module.fixed_z[:columns].repeat(len(rows), 1), labels)


def timeline(directory: Path, columns: int) -> Image.Image | None:
    """The first row of the grid at initialisation, early, in the middle and at the end.

    Read back from ``epoch_NNN.png``, so that a resumed run shows its whole past; files that
    :class:`Samples` has not written are skipped. None if there are no grids.
    """
    sheets = sorted(
        (int(match[1]), path, seen)
        for path in directory.glob("epoch_*.png")
        if (match := re.fullmatch(r"epoch_(\d{3,})", path.stem))
        and (seen := _images_seen(path)) is not None
    )
    if not sheets:
        return None
    last = len(sheets) - 1
    rows = []
    for index in sorted({0, min(1, last), last // 2, last}):
        _, path, seen = sheets[index]
        with Image.open(path) as sheet:
            strip = sheet.crop((0, 0, sheet.width, round(sheet.width / columns)))
        rows.append((f"{seen:,} images", strip))
    return captioned(rows)


def _images_seen(path: Path) -> int | None:
    """What :class:`Samples` has noted in the PNG at ``path``; None if it has not written it."""
    try:
        return int(read_text(path)[IMAGES_SEEN])
    except (KeyError, ValueError, SyntaxError, OSError):  # SyntaxError: Pillow's "not a PNG"
        return None
