"""Quoting of paths and values for Hydra's command line and for shells."""

import os
import re
import shlex
from pathlib import Path

from facegan.errors import InputError

_PATH_NAMES = ("root", "weights", "ckpt", "data_dir", "directory", "run_dir")
_PATH_KEYS = (
    *("resume", "resume.dir", "hydra.run.dir", "hydra.sweep.dir"),
    *("out", "predict", "label", "samples", "dir"),
)
_OPTIONS = (  # of Hydra
    *("help", "hydra-help", "version", "cfg", "resolve", "package", "run", "multirun"),
    *("shell-completion", "config-path", "config-name", "config-dir", "experimental-rerun", "info"),
)
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_PLAIN = re.compile(r"[\w./:-]*", re.ASCII)
_WORDS = re.compile(r"true|false|null|nan|[+-]?inf", re.IGNORECASE)  # to Hydra no strings
_SYNTAX = re.compile(r"[\[{]|\w+\(|.*(,|\$\{)", re.DOTALL)  # of sweeps, lists and interpolations


def is_path(key: str) -> bool:
    """Whether the value of ``key`` is a path."""
    return key in _PATH_KEYS or key.rpartition(".")[2] in _PATH_NAMES


def with_quoted_paths(arguments: list[str]) -> list[str]:
    """Quote existing paths, and values of path keys, if Hydra would misread them.

    Hydra's grammar rejects brackets, commas, an equals sign and non-ASCII letters, reads digits as
    a number, and does not know ``~``. In a sweep, values of path keys may be its syntax.
    """
    arguments = [_without_hyphens(argument) for argument in arguments]
    sweep = any(
        a in ("-m", "--multirun") or a.startswith(("sweep=", "hydra.mode=")) for a in arguments
    )
    return [_with_quoted_path(argument, sweep) for argument in arguments]


def _without_hyphens(argument: str) -> str:
    """``--key=value``, as agents of W&B and other tools write it, as Hydra's ``key=value``.

    Raises InputError for options that there are not, to which Hydra answers with its usage.
    """
    name, equals, _ = argument.removeprefix("--").partition("=")
    if not argument.startswith("--") or name in _OPTIONS:
        return argument
    if not equals:
        raise InputError(f"{argument} is not an option: keys are set by KEY=VALUE, as in n=64.")
    return argument.removeprefix("--")


def _with_quoted_path(argument: str, sweep: bool) -> str:
    key, equals, value = argument.partition("=")
    if value == "~" or value.startswith("~/"):
        value = str(Path(value).expanduser())
    if argument.startswith("-") or value == "" or _QUOTED.fullmatch(value):
        return f"{key}{equals}{value}"
    key_alone = key.lstrip("+")
    if key_alone == "compare":
        value = _quoted_pair(value)
    elif is_path(key_alone) and not (sweep and _SYNTAX.match(value)):
        value = value if value == "null" or _is_understood(value) else quoted(value)
    elif not _PLAIN.fullmatch(value) and _exists(value):
        value = quoted(value)
    return f"{key}{equals}{value}"


def _quoted_pair(value: str) -> str:
    """``[RUN_A,RUN_B]`` with quotes where they are needed; a comma may belong to a path."""
    inside = value.strip()[1:-1]
    commas = [match.start() for match in re.finditer(",", inside)]
    pairs = [(inside[:at].strip(), inside[at + 1 :].strip()) for at in commas]
    there = [pair for pair in pairs if all(map(_exists, pair))]
    chosen = there or (pairs if len(pairs) == 1 else [])
    if not (value.strip().startswith("[") and value.strip().endswith("]") and chosen):
        return value
    return "[{}]".format(
        ",".join(
            part if _QUOTED.fullmatch(part) or _is_understood(part) else quoted(part)
            for part in chosen[0]
        )
    )


def _exists(value: str) -> bool:
    # Not Path's own, which raises where a long list is no name.
    return os.path.exists(value)  # noqa: PTH110


def _is_understood(value: str) -> bool:
    """Whether Hydra reads ``value`` as this string."""
    return bool(_PLAIN.fullmatch(value)) and not (_is_number(value) or _WORDS.fullmatch(value))


def assignment(key: str, path: str | Path) -> str:
    """``key=path`` to be pasted into a shell, with the quotes that Hydra needs."""
    if _is_understood(str(path)):
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
