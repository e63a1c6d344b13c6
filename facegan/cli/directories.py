"""Directories of runs and sweeps: names of facegan's own are new, and refused runs leave none."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from facegan.cli.overrides import parsed, typed
from facegan.errors import InputError, OccupiedError
from facegan.launch.environment import agreed_name, names_directories
from facegan.run_dir import discard, new_directory

# The directory of this command, and the highest one on its path that was not there before.
_made: ContextVar[tuple[Path, Path] | None] = ContextVar("made", default=None)

NAME = "${run_name:}"  # in conf/: a name that facegan chooses
OF_A_SWEEP = {"multirun.yaml", "study.db"}  # before the first job has started
NAMING = ("dataset", "dataset.name", "experiment")  # keys that change the name of the data


class Directories(Callback):
    """Hydra callback: chooses the directory of a run or a sweep before anything is written.

    A name that facegan chooses and that is taken gets ``_2``, ``_3``, ...; a directory that the
    user has named stays as it is. All jobs of a sweep get the directory of the sweep.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _choose(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        directory = _choose(config, "sweep")
        # Jobs are composed anew: dataset= of a job would change the name of the sweep.
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.overrides.hydra.append(typed("hydra.sweep.dir", str(directory)))


def _choose(config: DictConfig, kind: str) -> Path:
    """Set ``hydra.run.dir`` or ``hydra.sweep.dir`` to the directory that is used, and return it."""
    with _seen_by_resolvers(config):
        directory = Path(str(config.hydra[kind].dir))
    named_by_us = NAME in str(OmegaConf.to_container(config.hydra[kind], resolve=False))
    if named_by_us and kind == "sweep" and _varies_the_data(config):
        directory = directory.parent.parent / directory.name
    lineage = [directory, *directory.absolute().parents]
    missing = [path for path in lineage if not path.exists()]
    if named_by_us:
        # Where it cannot be created Hydra fails, too, and says so.
        with contextlib.suppress(OSError):
            if names_directories():
                directory = new_directory(directory)
        directory = directory.with_name(agreed_name(directory.name))
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra[kind].dir = str(directory)
    if missing:
        highest = missing[-1] if len(missing) > 1 else directory
        _made.set((directory, highest))
    elif named_by_us:
        _made.set((directory, directory))
    return directory


def _varies_the_data(config: DictConfig) -> bool:
    swept = {key for key, o in parsed(config.hydra.overrides.task).items() if o.is_sweep_override()}
    swept |= set(OmegaConf.select(config, "hydra.sweeper.params") or {})
    return not swept.isdisjoint(NAMING)


@contextlib.contextmanager
def _seen_by_resolvers(config: DictConfig) -> Iterator[None]:
    """Let ``${hydra:...}`` in the name of a directory be resolved, as Hydra does for a job."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


@contextlib.contextmanager
def removed_if_refused() -> Iterator[None]:
    """Remove the new directory of a run or a sweep that is refused before its first step.

    Expects refusals as SystemExit, raised where the error is handled.
    """
    token = _made.set(None)
    try:
        yield
    except SystemExit as exit_:
        made = _made.get()
        refused = exit_.code == InputError.exit_code
        if made is not None and refused and not isinstance(exit_.__context__, OccupiedError):
            with contextlib.suppress(OSError):
                _remove(*made)
        raise
    finally:
        _made.reset(token)


def _remove(directory: Path, highest: Path) -> None:
    if directory.is_dir():
        content = list(directory.iterdir())
        if OF_A_SWEEP.issuperset(path.name for path in content):
            for path in content:
                path.unlink()
        discard(directory)
    for path in (directory, *directory.parents):
        with contextlib.suppress(FileNotFoundError):
            path.rmdir()  # fails if something is in it
        if path.absolute() == highest.absolute():
            return
