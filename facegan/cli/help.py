"""Tables of keys for ``--help``."""

import textwrap
from collections.abc import Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegan.settings import as_typed

WIDTH = 100
INTERNAL = ("hydra", "settings")  # groups of configurations that nobody chooses from


def key_table(rows: Sequence[tuple[str, Any, str, str]], cfg: DictConfig) -> str:
    """The rows of :meth:`Settings.table` as lines: key, value in ``cfg`` and meaning.

    Ready for ``string.Template``, by which Hydra fills its help.
    """
    values = [as_typed(_value(cfg, key, default)) for key, default, *_ in rows]
    width_of_key = max(len(key) for key, *_ in rows)
    width_of_value = min(16, max(len(value) for value in values))
    lines = []
    for (key, _, _, meaning), value in zip(rows, values, strict=True):
        start = f"  {key:<{width_of_key}}  {value:<{width_of_value}}  "
        indent = " " * (width_of_key + width_of_value + 6)
        if len(start) > len(indent):  # a long value: the meaning begins below it
            lines.append(start.rstrip())
            start = indent
        lines.append(textwrap.fill(start + meaning, WIDTH, subsequent_indent=indent))
    return "\n".join(lines).replace("$", "$$")


def group_table() -> str:
    """The groups of the configuration that people choose from, with their options."""
    loader = GlobalHydra.instance().config_loader()
    groups = [group for group in sorted(loader.list_groups("")) if group not in INTERNAL]
    return "\n".join(
        f"  {group}: {', '.join(sorted(loader.get_group_options(group)))}" for group in groups
    )


def _value(cfg: DictConfig, key: str, default: Any) -> Any:
    try:
        value = OmegaConf.select(cfg, key, default=default)
    except OmegaConfBaseException:  # known when the command runs: the directory of a run
        return default
    if isinstance(value, DictConfig | ListConfig):
        # ``resume`` is a key and a section.
        return default if isinstance(value, DictConfig) else OmegaConf.to_container(value)
    return value
