"""Weights & Biases: online if there is a key, else offline.

Importing this module imports wandb, which takes a second: it is named in ``conf/logger/wandb.yaml``
alone.
"""

import logging
import os
import secrets
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from PIL import Image
from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from facegan.files import replacing

log = logging.getLogger(__name__)


class WandbLogger(Logger):
    """A Weights & Biases run of its own: online if there is a key, else recorded offline.

    It never asks for a key. ``WANDB_MODE`` decides where it is set. A run in ``run_dir`` that is
    resumed continues the same W&B run, whose id is kept in ``wandb/id.txt``. The W&B run starts
    with the first thing that is logged and ends with the training; other W&B runs of this process
    are left alone.

    W&B keeps its files in ``run_dir``, and chooses a ``name`` of None. ``options`` are those of
    ``wandb.init``, such as ``group`` and ``tags``.
    """

    def __init__(self, run_dir: str, project: str, name: str | None = None, **options: Any) -> None:
        super().__init__()
        self._run_dir = Path(run_dir)
        self._options = {"project": project, "name": name, **options}
        self._configuration: dict[str, Any] = {}
        self._run: Any = None

    @property
    def name(self) -> str | None:
        return self._options["project"]

    @property
    def version(self) -> str | None:
        """The id of the W&B run; None before it has started."""
        return self._run.id if self._run is not None else None

    @property
    def save_dir(self) -> str:
        return str(self._run_dir)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, started if it has not been yet; a dummy on ranks above 0."""
        if self._run is None:
            mode = os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")
            try:
                self._run = self._start(mode)
            except (wandb.errors.CommError, wandb.errors.UsageError, TimeoutError) as error:
                log.warning("Weights & Biases cannot be reached (%s).", error)
                self._run = self._start(mode := "offline")
            offline = f"wandb sync {self._run_dir}/wandb/offline-run-*"
            where = f"offline; upload it later with: {offline}" if mode == "offline" else None
            log.info("Weights & Biases: %s", where or self._run.url or mode)
        return self._run

    def _start(self, mode: Any) -> Any:
        self._run_dir.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            **self._options,
            dir=str(self._run_dir),
            id=_kept_id(self._run_dir / "wandb" / "id.txt"),
            resume="allow",
            mode=mode,
            reinit="create_new",  # neither joins nor ends another run of this process
            settings=wandb.Settings(silent=True, init_timeout=20),
        )
        run.config.update(self._configuration, allow_val_change=True)
        run.define_metric("images_seen")
        run.define_metric("*", step_metric="images_seen", step_sync=True)
        return run

    @rank_zero_only
    def log_configuration(self, config: Mapping[str, Any]) -> None:
        """Keep the whole configuration for the W&B run's config, by which runs are compared."""
        self._configuration = dict(config)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        params = vars(params) if isinstance(params, Namespace) else params
        self.experiment.config.update(params, allow_val_change=True)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.experiment.log({**metrics, "images_seen": step})

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[Image.Image], step: int | None = None) -> None:
        self.log_metrics({key: [wandb.Image(image) for image in images]}, step)

    @rank_zero_only
    def log_table(
        self,
        key: str,
        columns: list[Any],
        data: list[list[Any]],
        step: int | None = None,
    ) -> None:
        self.log_metrics({key: wandb.Table(columns=columns, data=data)}, step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the W&B run when the training ends, in whatever way."""
        if self._run is not None:
            self._run.finish()
            self._run = None


def _has_key() -> bool:
    """Whether there is an API key; neither asks for one nor uses the network."""
    try:
        return wandb.login(prompt=False, verify=False)
    except wandb.errors.AuthenticationError as error:
        log.warning("Weights & Biases: %s", error)
        return False


def _kept_id(path: Path) -> str:
    if not path.is_file():
        with replacing(path) as partial:
            partial.write_text(secrets.token_hex(4))
    return path.read_text(encoding="utf-8")
