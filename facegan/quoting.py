"""Paths and values as Hydra's command line and a shell read them."""

import os
import re
import shlex
from pathlib import Path


def with_quoted_paths(arguments: list[str]) -> list[str]:
    """Paths of what is there can be given as they are, whatever characters they have.

    Hydra's grammar stumbles over brackets, commas, or an equals sign. It does not know ``~``.
    """
    return [_with_quoted_path(argument) for argument in arguments]


def _with_quoted_path(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if value == "~" or value.startswith("~/"):
        value = str(Path(value).expanduser())
    plain = re.fullmatch(r"[\w./:-]*", value, re.ASCII) or value[0] in "'\""
    # Not Path's own, which raises where a long list is no name.
    if not plain and not argument.startswith("-") and os.path.exists(value):  # noqa: PTH110
        value = quoted(value)
    return f"{key}{equals}{value}"


def assignment(key: str, path: str | Path) -> str:
    """``key=path`` as it can be pasted into a shell: Hydra wants quotes of its own around some."""
    if re.fullmatch(r"[\w./:\\-]+", str(path), re.ASCII):
        return f"{key}={path}"
    return shlex.quote(f"{key}={quoted(str(path))}")


def quoted(text: str) -> str:
    """A string as Hydra's command line reads it, whatever is in it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
