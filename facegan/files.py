"""Files that are there whole or not at all."""

import csv
import io
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from filelock import FileLock, Timeout

from facegan.errors import InputError

log = logging.getLogger(__name__)


@contextmanager
def replacing(path: Path, shared: bool = False) -> Iterator[Path]:
    """Write to the path this yields; it becomes ``path`` at the end, and vanishes on an error.

    It lies beside ``path``, since between disks a move is a copy that can be cut short. Missing
    directories are made. ``shared``: several processes may write ``path`` at once; what one of them
    leaves half made when it is killed then stays.
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
    """Hold the lock of ``path`` while it is made; waits, and says so, while another process does.

    The system releases it when the process ends, however it does.
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


def expect_writable(directory: Path) -> None:
    """Make ``directory``; raises InputError, before any long work, where nothing can be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise InputError(
            f"Nothing can be written to {directory} ({error.strerror}): set out= to another place."
        ) from error


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as CSV with a header; what a row does not have stays empty.

    Names of files that are no UTF-8 are written as they are.
    """
    with replacing(path) as partial, _text(partial, "w") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The whole rows of a CSV file; none if there is no such file.

    A line that a killed process left cut short is dropped.
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
    """Add a row to a small CSV file, and the columns that it did not have yet."""
    rows = [*read_csv(path), row]
    columns = dict.fromkeys(column for known in rows for column in known)
    write_csv(path, list(columns), rows)


def write_json(path: Path, content: Any) -> None:
    """``content`` as indented JSON; numbers that are none become null."""
    content = _finite(content)
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
