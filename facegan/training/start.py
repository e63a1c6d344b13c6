"""The checkpoint a training starts from."""

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from facegan.errors import FinishedError, InputError
from facegan.gan.checkpoint import read_checkpoint
from facegan.gan.conditions import Conditions
from facegan.gan.gan import GAN
from facegan.lightning_internals import finished_epochs
from facegan.run_dir import run_dir_of
from facegan.settings import as_typed

log = logging.getLogger(__name__)

# Settings that must be the same for a checkpoint's weights to fit.
ARCHITECTURE = {
    "image_size": "dataset.image_size",
    "channels": "dataset.channels",
    "backbone": "model.backbone",
    "latent_dim": "model.latent_dim",
    "width_g": "model.width_g",
    "width_d": "model.width_d",
    "blocks": "model.blocks",
    "max_width": "model.max_width",
    "norm_d": "model.norm_d",
    "spectral_norm": "model.spectral_norm",
}
MISSING = {"backbone": "dcgan"}  # values of keys that earlier versions did not have
UNCONDITIONAL = Conditions().specification()


class OwnEpochs(pl.Callback):
    """A new run from a checkpoint counts its epochs from 0; weights and optimizers are kept."""

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["loops"]["fit_loop"] = trainer.fit_loop.state_dict()


def read_start(start: str | Path | None, model: GAN, fallback: bool) -> dict[str, Any] | None:
    """The checkpoint at ``start`` (a file or a run directory), if it fits ``model``.

    Raises InputError if it does not, or if it is damaged. With ``fallback``, the newest other one
    of the same directory takes the place of a damaged one.
    """
    if start is None:
        return None
    try:
        checkpoint = read_checkpoint(start)
    except InputError as error:
        run_dir = run_dir_of(Path(str(start)).expanduser())
        checkpoint = _newest_in(run_dir / "checkpoints", error, fallback)
    path = checkpoint["path"]
    if "loops" not in checkpoint:
        raise InputError(f"{path} holds weights alone: training cannot continue from it.")
    for name, key in ARCHITECTURE.items():
        saved = checkpoint["hyper_parameters"].get(name, MISSING.get(name))
        now = getattr(model.settings, name)
        before, now = ("null" if value is None else value for value in (saved, now))
        if before != now:
            raise InputError(
                f"{path} was trained with {key}={before}, this run asks for {now}: "
                f"set {key}={before}."
            )
    conditions = checkpoint["hyper_parameters"].get("conditions", UNCONDITIONAL)
    _check_conditions(path, conditions, model.conditions.specification())
    return checkpoint


def _check_conditions(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for fact, key in (("kind", "condition"), ("names", "condition.names"), ("classes", "classes")):
        if before[fact] != now[fact]:
            values = (as_typed(facts[fact]) for facts in (before, now))
            raise InputError(
                "{} was trained with {}={}, this run has {}.".format(path, key, *values)
            )


def check_epochs(checkpoint: dict[str, Any], max_epochs: int | None) -> None:
    """Raise FinishedError if a resumed run has no epoch left to train."""
    epochs = finished_epochs(checkpoint)
    if max_epochs not in (None, -1) and epochs >= max_epochs:
        raise FinishedError(
            f"{checkpoint['path']} has already had {epochs} epochs: set trainer.max_epochs above "
            "that."
        )


def _newest_in(directory: Path, error: InputError, fallback: bool) -> dict[str, Any]:
    """The newest intact checkpoint if ``fallback``; else an error that names it."""
    whole = []
    for path in directory.glob("*.ckpt"):
        with contextlib.suppress(InputError):
            whole.append(read_checkpoint(path))
    if not whole:
        raise InputError(f"{error} There is no other intact one in {directory}.") from error
    newest = max(whole, key=lambda checkpoint: checkpoint["images_seen"])
    seen = f"{newest['path']}, of {newest['images_seen']:,} images"
    if not fallback:
        raise InputError(f"{error} To continue from {seen}, set resume.fallback=true.") from error
    log.warning("%s Continuing from %s.", error, seen)
    return newest
