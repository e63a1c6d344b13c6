"""Sweeps: names, numbers and GPUs of their jobs, and the leaderboard at the end."""

import contextlib
import json
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from facegan.errors import FaceganError, InputError
from facegan.files import write_json
from facegan.launch.devices import GPUS, free_gpus, visible_gpus
from facegan.launch.environment import rank
from facegan.run_dir import RESULT

_directory: ContextVar[Path | None] = ContextVar("sweep_directory", default=None)


def in_sweep() -> bool:
    """Whether this is a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def sweep_name() -> str | None:
    """Name of the current sweep, or None."""
    return Path(HydraConfig.get().sweep.dir).name if in_sweep() else None


def first_job(sweep_dir: str) -> int:
    """Number of a sweep's first job; its directory may hold those of an earlier search.

    Its resolver is cached: all jobs get the value that the sweep had before its first job.
    """
    numbers = [int(path.name) for path in Path(sweep_dir).glob("*") if path.name.isdigit()]
    return max(numbers, default=-1) + 1


def direction_of(mode: str) -> str:
    """Optuna's word for ``objective.mode``."""
    return {"min": "minimize", "max": "maximize"}.get(mode, mode)


class SweepStart(Callback):
    """Hydra callback: prepares the sweep's directory before the first job."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        directory = Path(config.hydra.sweep.dir)
        # Fills the cache of the resolver that hydra.sweep.subdir uses, which all jobs inherit.
        cache = OmegaConf.get_cache(config)["first_job"]
        cache.setdefault(("${hydra.sweep.dir}",), first_job(str(directory)))
        directory.mkdir(parents=True, exist_ok=True)  # for the storage of a search
        _directory.set(directory)


@contextlib.contextmanager
def concluded() -> Iterator[None]:
    """End a sweep with its leaderboard, and with one sentence if all its jobs failed."""
    token = _directory.set(None)
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(Exception):  # the original error matters more
            conclude_sweep(_directory.get())
        if isinstance(error, Exception):
            raise_if_no_job_succeeded(error, _directory.get())
        raise
    else:
        conclude_sweep(_directory.get())
    finally:
        _directory.reset(token)


@contextlib.contextmanager
def own_gpus(devices: Any, accelerator: str, count: int) -> Iterator[list[int] | None]:
    """Numbers of the GPUs reserved for a sweep's job while it runs.

    A launcher may run several jobs at once. None if there is nothing to choose from.
    """
    wanted = accelerator in GPUS and isinstance(devices, int)
    if not (in_sweep() and wanted and visible_gpus() >= max(2, count)):
        yield None
        return
    with free_gpus(count, visible_gpus(), str(sweep_name())) as numbers:
        yield numbers


def note_failure(run_dir: Path, sentence: str) -> None:
    """Add the reason why a run has no objective to its ``result.json``."""
    path = run_dir / RESULT
    result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_json(path, result | {"objective": None, "error": sentence})


def raise_if_no_job_succeeded(error: Exception, directory: Path | None) -> None:
    """Replace a sweeper's traceback by one sentence when every job failed."""
    if directory is None or isinstance(error, FaceganError):
        return
    results = [
        json.loads(path.read_text(encoding="utf-8")) for path in directory.glob(f"*/{RESULT}")
    ]
    errors = [str(result["error"]) for result in results if result.get("error")]
    if errors and len(errors) == len(results):
        raise InputError(f"None of the sweep's {len(errors)} jobs succeeded: {errors[0]}") from None


def conclude_sweep(directory: Path | None) -> None:
    """Write the leaderboard of a sweep whose first job has started."""
    if directory is None or rank() > 0:
        return
    if any(directory.glob("[0-9]*/.hydra/overrides.yaml")):
        from facegan.pages.leaderboard import write_leaderboard  # here: --help needs no torch

        write_leaderboard(directory)
