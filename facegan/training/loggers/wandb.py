"""Weights & Biases: online if there is a key, else offline."""

import logging
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from facegan.files import replacing

log = logging.getLogger(__name__)


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
