"""Quoting of paths and values for Hydra's command line and for shells."""

import os
import re
import shlex
from pathlib import Path

_PATH_NAMES = ("root", "weights", "ckpt", "data_dir")
_PATH_KEYS = ("resume", "resume.dir", "hydra.run.dir", "hydra.sweep.dir", "out", "predict", "label")


def is_path(key: str) -> bool:
    """Whether the value of ``key`` is a path."""
    return key in (*_PATH_KEYS, "samples") or key.rpartition(".")[2] in _PATH_NAMES


def with_quoted_paths(arguments: list[str]) -> list[str]:
    """Quote existing paths, and values of path keys, if Hydra would misread them.

    Hydra's grammar rejects brackets, commas, an equals sign and non-ASCII letters, reads digits as
    a number, and does not know ``~``.
    """
    return [_with_quoted_path(argument) for argument in arguments]


def _with_quoted_path(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if value == "~" or value.startswith("~/"):
        value = str(Path(value).expanduser())
    if argument.startswith("-") or value == "" or value[0] in "'\"":
        return f"{key}{equals}{value}"
    # Not Path's own, which raises where a long list is no name.
    exists = os.path.exists(value)  # noqa: PTH110
    odd = not re.fullmatch(r"[\w./:-]*", value, re.ASCII)
    syntax = re.match(r"[\[{]|\w+\(", value) or re.search(r",|\$\{", value)
    number = _is_number(value)
    if (odd and exists) or (is_path(key.lstrip("+")) and (number or (odd and not syntax))):
        value = quoted(value)
    return f"{key}{equals}{value}"


def assignment(key: str, path: str | Path) -> str:
    """``key=path`` to be pasted into a shell, with the quotes that Hydra needs."""
    if re.fullmatch(r"[\w./:-]+", str(path), re.ASCII) and not _is_number(str(path)):
        return f"{key}={path}"
    return shlex.quote(f"{key}={quoted(str(path))}")


def quoted(text: str) -> str:
    """``text`` as a string on Hydra's command line, whatever it contains."""
    # In quotes, backslashes stand for themselves except before a quote.
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", text) + "'"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
