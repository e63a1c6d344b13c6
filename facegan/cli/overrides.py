"""Overrides of the command line, read by Hydra's own parser."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from facegan.quoting import is_path, quoted


def parsed(arguments: Iterable[str]) -> dict[str, Override]:
    """The overrides among ``arguments`` by key; the last one of equal keys."""
    texts = [
        argument
        for argument in arguments
        if not argument.startswith("-") and ("=" in argument or argument.startswith("~"))
    ]
    return {o.key_or_group: o for o in OverridesParser.create().parse_overrides(texts)}


def first_value(override: Override) -> Any:
    """The value of ``override``; the first one of a list or a sweep."""
    value = override.value()
    if override.is_sweep_override():
        value = next(iter(getattr(value, "list", [])), None)
    if isinstance(value, list):
        value = value[0] if value else None
    # A quoted string keeps its quotes inside a sweep.
    return getattr(value, "text", value)


def typed(key: str, value: Any) -> str:
    """``key=value`` in the grammar of Hydra's command line."""
    return f"{key}={quoted(value) if isinstance(value, str) else json.dumps(value)}"


def absolute(override: Override, directory: Path) -> str:
    """The override's text; a relative path is resolved against ``directory``."""
    value = override.value()
    text = str(override.input_line)
    key = override.key_or_group
    if override.is_sweep_override() or not is_path(key) or value in ("", None) or "${" in text:
        return text
    return typed(key, str(Path(directory, Path(str(value)).expanduser())))


class SavedRun:
    """What a run directory's ``.hydra`` records about how the run was started."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._hydra = self._read("hydra").get("hydra", {})

    def _read(self, name: str) -> Any:
        path = self.run_dir / ".hydra" / f"{name}.yaml"
        return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}

    @property
    def overrides(self) -> list[str]:
        """Overrides of the run, without Hydra's own."""
        # Not OmegaConf: it would resolve ${seed} against the list.
        return [str(o) for o in self._read("overrides") or [] if not str(o).startswith("hydra")]

    @property
    def cwd(self) -> Path:
        """Directory the run was started in; the current one if that is not recorded."""
        return Path(self._hydra.get("runtime", {}).get("cwd") or Path.cwd())

    @property
    def dataset(self) -> str | None:
        """Option of the group ``dataset``, if it is recorded."""
        return self._hydra.get("runtime", {}).get("choices", {}).get("dataset")

    @property
    def config(self) -> Any:
        """The composed configuration, with its interpolations."""
        return OmegaConf.create(self._read("config"))
