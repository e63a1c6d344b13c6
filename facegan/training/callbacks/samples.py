"""Pictures of the training: the fixed grid after every epoch, some real images, the timeline."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only

from facegan.errors import expect_int
from facegan.pictures.scaling import to_uint8
from facegan.pictures.sheets import IMAGES_SEEN, captioned, grid, read_text, save_png
from facegan.training.callbacks.epoch_end import is_due
from facegan.training.loggers import log_picture


class Samples(pl.Callback):
    """Writes ``epoch_NNN.png``, ``reals.png`` and ``timeline.png`` into ``directory``.

    The grid shows the same latents every time: ``epoch_000.png`` before training, then after
    every ``every_n_epochs`` epochs and at the end. It also goes to W&B and TensorBoard.
    """

    def __init__(self, directory: str, every_n_epochs: int = 1, columns: int = 8) -> None:
        expect_int("callbacks.samples.every_n_epochs", every_n_epochs, at_least=1)
        expect_int("callbacks.samples.columns", columns, at_least=1)
        self.directory = Path(directory)
        self.every_n_epochs = every_n_epochs
        self.columns = columns

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
        sheet = self._timeline()
        save_png(sheet, self.directory / "timeline.png")
        log_picture(trainer.loggers, "timeline", sheet, pl_module.images_seen)

    def _write_grid(self, trainer: pl.Trainer, pl_module: Any, epoch: int) -> None:
        sheet = grid(to_uint8(pl_module.sample()), self.columns)
        seen = pl_module.images_seen
        save_png(sheet, self.directory / f"epoch_{epoch:03d}.png", **{IMAGES_SEEN: seen})
        log_picture(trainer.loggers, "samples", sheet, seen)

    def _timeline(self) -> Image.Image:
        """The first row of the grid at initialisation, early, in the middle and at the end.

        Read back from the files, so that a resumed run has its whole past.
        """
        paths = [p for p in self.directory.glob("epoch_*.png") if p.stem[6:].isdigit()]
        sheets = [(int(read_text(path)[IMAGES_SEEN]), path) for path in paths]
        sheets.sort()
        last = len(sheets) - 1
        chosen = sorted({0, min(1, last), last // 2, last})
        rows = []
        for images_seen, path in (sheets[index] for index in chosen):
            sheet = Image.open(path)
            strip = sheet.crop((0, 0, sheet.width, round(sheet.width / self.columns)))
            rows.append((f"{images_seen:,} images", strip))
        return captioned(rows)
