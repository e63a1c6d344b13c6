"""Make the leaderboard of a sweep again: ``python -m facegan.report dir=SWEEP_DIR``."""

from pathlib import Path
from typing import Any

from facegan.cli.run import run
from facegan.errors import InputError
from facegan.files import expect_writable
from facegan.quoting import quoted


def report(cfg: Any) -> None:
    """Write table, chart and faces of the sweep in ``cfg.dir`` into that directory."""
    if cfg.dir is None:
        raise InputError("Say which sweep to report on: dir=runs/DATASET/sweep_TIME.")
    directory = Path(str(cfg.dir)).expanduser()
    if not directory.is_dir():
        raise InputError(f"dir={directory} is not a directory.")
    expect_writable(directory, "copy it to a disk that can be written to")
    from facegan.pages.leaderboard import write_leaderboard  # here: --help needs no torch

    write_leaderboard(directory)


def with_named_directory(arguments: list[str]) -> list[str]:
    """``facegan.report SWEEP_DIR`` is short for ``facegan.report dir=SWEEP_DIR``."""
    named = []
    for argument in arguments:
        is_path = not argument.startswith("-") and ("=" not in argument or Path(argument).is_dir())
        named.append(f"dir={quoted(argument)}" if is_path else argument)
    return named


def main() -> None:
    run(report, "report", with_named_directory)


if __name__ == "__main__":
    main()
