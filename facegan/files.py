"""Files that are written completely or not at all, and what names and outputs can show."""

import csv
import errno
import io
import json
import logging
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from filelock import FileLock, Timeout

from facegan.errors import InputError

log = logging.getLogger(__name__)

DISK_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quota error


@contextmanager
def replacing(path: Path, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` at the end and is deleted on an error.

    It is in the same directory, since a move between disks is a copy that can be cut short. Missing
    parent directories are created. ``shared``: several processes may write ``path`` at once; the
    temporary file of a killed process is then left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f".{os.getpid()}" if shared else ""
    partial = path.with_name(f"{path.name}{own}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock while ``path`` is prepared; waits, with a warning, while another process does.

    The system releases the lock when the process ends in any way.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("Another process is preparing %s: waiting until it is done.", path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def on_terminal() -> bool:
    """Whether a progress bar can be drawn: on a terminal or in a notebook, not into a file."""
    return "ipykernel" in sys.modules or bool(sys.stdout.isatty() or sys.stderr.isatty())


def legible(name: str) -> str:
    """``name`` of a file as text that can be printed, drawn and written anywhere.

    Bytes that are no UTF-8 and control characters are escaped: ``caf\\xe9``, ``a\\n``.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == " " else repr(c)[1:-1] for c in text)


def expect_writable(directory: Path, remedy: str = "set out= to another place") -> None:
    """Raise InputError if nothing can be written to ``directory``, which is not created."""
    try:
        there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"Nothing can be written to {directory} ({reason}): {remedy}.") from error


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with a header; missing values stay empty.

    File names that are not valid UTF-8 round-trip.
    """
    with replacing(path) as partial, _text(partial, "w") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read the complete rows of a CSV file; an empty list if it does not exist.

    A last line that a killed process left incomplete is dropped.
    """
    if not path.is_file():
        return []
    with _text(path, "r") as file:
        content = file.read()
    whole = content[: content.rfind("\n") + 1]
    header, *rows = list(csv.reader(io.StringIO(whole, newline=""))) or [[]]
    return [dict(zip(header, row, strict=True)) for row in rows if len(row) == len(header)]


def _text(path: Path, mode: str) -> IO[str]:
    return path.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


def append_csv(path: Path, row: Mapping[str, Any]) -> None:
    """Append a row to a small CSV file; new columns are added."""
    rows = [*read_csv(path), row]
    columns = dict.fromkeys(column for each in rows for column in each)
    write_csv(path, list(columns), rows)


def write_npy_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    """Write the .npy header of a uint8 array; its length does not depend on ``shape[0]``."""
    from numpy.lib.format import write_array_header_1_0  # here: --help needs no numpy

    write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON; NaN and infinities become null."""
    content = _finite(content)
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
