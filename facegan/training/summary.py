"""Messages before and after a training, and ``result.json``."""

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer

from facegan import __version__
from facegan.data.module import ImageDataModule
from facegan.errors import InputError
from facegan.files import write_json
from facegan.gan.checkpoint import read_checkpoint
from facegan.gan.gan import GAN
from facegan.quoting import assignment
from facegan.run_dir import RESULT, last_checkpoint
from facegan.training.callbacks.objective import Objective

log = logging.getLogger(__name__)


def announce(model: GAN, data: ImageDataModule, trainer: pl.Trainer, run_dir: Path) -> None:
    """Log what is about to be trained, and where it is written."""
    settings = model.settings
    epochs = "without end" if trainer.max_epochs == -1 else f"{trainer.max_epochs} epochs"
    log.info(
        "facegan %s: %s at %d px, %s training images, %s in batches of %d.\n"
        "Loss %s, width %d/%d, %s MB a checkpoint, on %s x %d. Everything goes to %s",
        __version__,
        data.name,
        settings.image_size,
        f"{len(data.train_rows()):,}",
        epochs,
        data.batch_size_on(trainer.world_size) * trainer.world_size,
        settings.loss,
        settings.width_g,
        settings.width_d,
        f"{checkpoint_bytes(model) / 1e6:,.1f}",
        type(trainer.accelerator).__name__.removesuffix("Accelerator").lower(),
        trainer.world_size,
        _short(run_dir),
    )


def checkpoint_bytes(model: GAN) -> int:
    """About how large a checkpoint of ``model`` is: all weights, and Adam's two moments of some."""
    weights = sum(p.nbytes for p in model.parameters())
    trained = (model.generator, model.discriminator)
    return weights + 2 * sum(p.nbytes for network in trained for p in network.parameters())


def write_result(run_dir: Path, objective: Objective, images: int, seconds: float) -> None:
    """Write ``result.json``, which leaderboards and searches read."""
    result = {
        "metric": objective.metric,
        "mode": objective.mode,
        "objective": objective.value,
        "epoch": objective.epoch,
        "images": images,
        "seconds": round(seconds, 1),
        "images_per_second": round(images / seconds, 1),
    }
    write_json(run_dir / RESULT, result)


def conclude(model: GAN, trainer: Any, run_dir: Path, searched: bool) -> None:
    """Log how the training ended, where its files are, and the next commands."""
    run_dir = _short(run_dir)
    left = [c.time_remaining() for c in trainer.callbacks if isinstance(c, Timer)]
    if any(seconds is not None and seconds <= 0 for seconds in left):
        ended = "The time is up (trainer.max_time)"
    else:
        ended = "Done" if trainer.current_epoch == trainer.max_epochs else "Stopped early"
    lines = [f"{ended}: {model.images_seen:,} images seen."]
    for what, path in (
        ("faces", run_dir / "samples"),
        ("timeline", run_dir / "samples" / "timeline.png"),
        ("checkpoint", last_checkpoint(run_dir)),
        ("metrics", run_dir / "metrics.csv"),
    ):
        if path.exists():
            lines.append(f"  {what:<11}{path}")
    lines += _best(trainer)
    if not searched and last_checkpoint(run_dir).exists():
        activated = shutil.which("python") == sys.executable
        python = "python" if activated else _short(Path(sys.executable))
        lines += [
            "Next:",
            f"  {python} -m facegan.sample {assignment('ckpt', run_dir)} n=64",
            f"  {python} -m facegan.train {assignment('resume', run_dir)} "
            f"trainer.max_epochs={2 * max(1, trainer.current_epoch)}",
        ]
    log.info("\n".join(lines))


def _best(trainer: Any) -> Iterator[str]:
    """A line per checkpoint that a metric has chosen: path, score and images seen."""
    for callback in trainer.checkpoint_callbacks:
        path = Path(callback.best_model_path)
        if callback.monitor and path.is_file():
            with contextlib.suppress(InputError):  # damaged since
                score, seen = callback.best_model_score, read_checkpoint(path)["images_seen"]
                how = f"{callback.monitor} {score:.4g}, {seen:,} images"
                yield f"  the best   {_short(path)} ({how})"


def _short(path: Path) -> Path:
    """Relative to the working directory where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
