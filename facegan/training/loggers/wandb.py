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

UPLOAD_SECONDS = 300.0  # that the end of a run waits for the network


class WandbLogger(Logger):
    """A Weights & Biases run of its own: online if there is a key, else recorded offline.

    It never asks for a key. ``WANDB_MODE`` decides where it is set. A run in ``run_dir`` that is
    resumed continues the same W&B run, whose id is kept in ``wandb/id.txt``. The W&B run starts
    with the first thing that is logged and ends with :meth:`close`; other W&B runs of this process
    are left alone.

    W&B keeps its files in ``run_dir``, and chooses a ``name`` of None. ``log_model`` uploads the
    last and the best checkpoint as versions ``latest`` and ``best`` of one artifact. ``options``
    are those of ``wandb.init``, such as ``id``, ``group`` and ``tags``.
    """

    def __init__(
        self,
        run_dir: str,
        project: str,
        name: str | None = None,
        log_model: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self._log_model = log_model
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
            **{**self._options, "id": self._id()},
            dir=str(self._run_dir),
            resume="allow",
            mode=mode,
            reinit="create_new",  # neither joins nor ends another run of this process
            settings=wandb.Settings(
                silent=True,
                init_timeout=20,
                finish_timeout=UPLOAD_SECONDS,
                finish_timeout_raises=True,
            ),
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
    def close(self) -> None:
        """Upload what is left, and end the W&B run; not longer than UPLOAD_SECONDS.

        After everything is on the disk: a lost network must not cost the result.
        """
        if self._run is None:
            return
        run, self._run = self._run, None
        try:
            if self._log_model:
                self._upload_checkpoints(run)
            run.finish()
        except (wandb.errors.Error, TimeoutError, OSError) as error:
            log.warning(
                "Weights & Biases has not received everything (%s); upload it later with: "
                "wandb sync %s/wandb/*run-*",
                error or type(error).__name__,
                self._run_dir,
            )

    def _upload_checkpoints(self, run: Any) -> None:
        # Lightning's log_model gives "best" to whichever callback saved last.
        for file, alias in (("best.ckpt", "best"), ("last.ckpt", "latest")):
            path = self._run_dir / "checkpoints" / file
            if path.is_file():
                artifact = wandb.Artifact(f"model-{run.id}", "model")
                artifact.add_file(str(path), "model.ckpt")
                run.log_artifact(artifact, aliases=[alias])

    def _id(self) -> str:
        """Of a W&B agent, of the run before it was resumed, as the user has it, or a new one."""
        path = self._run_dir / "wandb" / "id.txt"
        kept = path.read_text(encoding="utf-8") if path.is_file() else None
        chosen = self._options.get("id") or os.environ.get("WANDB_RUN_ID")
        if chosen and self._options.get("group") and "WANDB_SWEEP_ID" not in os.environ:
            chosen = f"{chosen}-{self._run_dir.name}"  # jobs of a sweep share their environment
        if "WANDB_SWEEP_ID" in os.environ and chosen:
            kept = None  # the agent expects its own
        new = kept or chosen or secrets.token_hex(4)
        if new != kept:
            with replacing(path) as partial:
                partial.write_text(new, encoding="utf-8")
        return new


def _has_key() -> bool:
    """Whether there is an API key; neither asks for one nor uses the network."""
    try:
        return wandb.login(prompt=False, verify=False)
    except wandb.errors.AuthenticationError as error:
        log.warning("Weights & Biases: %s", error)
        return False
