"""A sweep: what it and its jobs are called, the GPUs that each has, and how it ends."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from facegan.errors import FaceganError, InputError
from facegan.files import write_json
from facegan.launch.devices import GPUS, free_gpus, visible_gpus
from facegan.launch.environment import rank
from facegan.run_dir import RESULT

FIRST_JOB = "FACEGAN_FIRST_JOB"  # number of a sweep's first job, for processes that run its jobs


def in_sweep() -> bool:
    """Whether this is a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def sweep_name() -> str | None:
    """What the sweep is called that this run belongs to, if it belongs to one."""
    return Path(HydraConfig.get().sweep.dir).name if in_sweep() else None


def job_number(number: int) -> int:
    """The number of a job in its sweep's directory, which may hold those of an earlier search."""
    return number + int(os.environ.get(FIRST_JOB, 0))


def direction_of(mode: str) -> str:
    """Optuna's word for ``objective.mode``."""
    return {"min": "minimize", "max": "maximize"}.get(mode, mode)


class SweepStart(Callback):
    """Hydra tells it where the jobs of a sweep will be, before there is one."""

    directory: Path | None = None  # of the sweep of this process

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        directory = Path(config.hydra.sweep.dir)
        there = [int(path.name) for path in directory.glob("*") if path.name.isdigit()]
        os.environ[FIRST_JOB] = str(max(there, default=-1) + 1)
        directory.mkdir(parents=True, exist_ok=True)  # for the storage of a search
        SweepStart.directory = directory


@contextlib.contextmanager
def own_gpus(cfg: DictConfig, count: int) -> Iterator[None]:
    """While a sweep's job runs, have ``trainer.devices`` name GPUs that its other jobs do not use.

    A launcher may run several at once. Where there is nothing to choose from nothing happens.
    """
    wanted = cfg.trainer.accelerator in GPUS and isinstance(cfg.trainer.devices, int)
    if not (in_sweep() and wanted and visible_gpus() >= max(2, count)):
        yield
        return
    with free_gpus(count, visible_gpus(), str(sweep_name())) as numbers:
        cfg.trainer.devices = numbers
        yield


def note_failure(run_dir: Path, sentence: str) -> None:
    """Say in ``result.json`` why a run has no objective, beside what is known of it."""
    path = run_dir / RESULT
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_json(path, known | {"objective": None, "error": sentence})


def raise_if_no_job_succeeded(error: Exception) -> None:
    """In one sentence what a sweeper that needs a result may say in forty lines."""
    directory = SweepStart.directory
    if directory is None or isinstance(error, FaceganError):
        return
    results = [json.loads(path.read_text()) for path in directory.glob(f"*/{RESULT}")]
    errors = [str(result["error"]) for result in results if result.get("error")]
    if errors and len(errors) == len(results):
        raise InputError(f"None of the sweep's {len(errors)} jobs succeeded: {errors[0]}") from None


def conclude() -> None:
    """The leaderboard of the sweep of this command, if it was one, whatever became of its jobs."""
    directory, SweepStart.directory = SweepStart.directory, None
    if (
        rank() == 0
        and directory is not None
        and any(path.name.isdigit() for path in directory.glob("*"))
    ):
        from facegan.pages.leaderboard import write_leaderboard  # here, because it needs torch

        write_leaderboard(directory)
