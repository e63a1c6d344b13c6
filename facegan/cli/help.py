"""Tables of keys for ``--help``."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegan.settings import as_typed

WIDTH = 100


def key_table(rows: Sequence[tuple[str, Any, str, str]], cfg: DictConfig) -> str:
    """The rows of :meth:`Settings.table` as lines: key, value in ``cfg`` and meaning.

    ``$`` is doubled for ``string.Template``, which Hydra renders its help with.
    """
    values = [as_typed(_value(cfg, key, default)) for key, default, *_ in rows]
    width_of_key = max(len(key) for key, *_ in rows)
    width_of_value = min(16, max(len(value) for value in values))
    lines = []
    for (key, _, form, meaning), value in zip(rows, values, strict=True):
        if form.startswith("one of "):
            meaning += f" ({form.removeprefix('one of ')})"
        start = f"  {key:<{width_of_key}}  {value:<{width_of_value}}  "
        indent = " " * (width_of_key + width_of_value + 6)
        if len(start) > len(indent):  # a long value: the meaning begins below it
            lines.append(start.rstrip())
            start = indent
        lines.append(textwrap.fill(start + meaning, WIDTH, subsequent_indent=indent))
    return "\n".join(lines).replace("$", "$$")


def groups_in(conf_dir: Path) -> list[Path]:
    """Directories of the configuration groups that users choose from, sorted.

    Listed from disk: Hydra's own listing takes half a second.
    """
    return sorted(path for path in conf_dir.iterdir() if path.is_dir() and path.name != "hydra")


def group_table(conf_dir: Path) -> str:
    """The groups of the configuration in ``conf_dir`` with their options."""
    return "\n".join(
        f"  {group.name}: {', '.join(sorted(path.stem for path in group.glob('*.yaml')))}"
        for group in groups_in(conf_dir)
    )


def _value(cfg: DictConfig, key: str, default: Any) -> Any:
    try:
        value = OmegaConf.select(cfg, key, default=default)
    except OmegaConfBaseException:  # has a value only when the command runs
        return default
    if isinstance(value, DictConfig | ListConfig):
        # ``resume`` is a key and a section.
        return default if isinstance(value, DictConfig) else OmegaConf.to_container(value)
    return value
