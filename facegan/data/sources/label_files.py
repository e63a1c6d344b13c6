"""CelebA's annotation files, as their authors or a program of tables wrote them."""

import csv
import io
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np

from facegan.errors import InputError

PICTURE = re.compile(r"[^/\\]*\.(jpe?g|png|webp|bmp|tiff?)", re.IGNORECASE)
INDEX = re.compile(r"(unnamed: ?\d+|index|level_0)?", re.IGNORECASE)  # pandas' names of a count
WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0}


@dataclass(frozen=True)
class Table:
    """An annotation file: ``values`` (n, columns), a row per picture; columns may be unnamed."""

    path: Path
    columns: list[str]
    pictures: list[str]
    values: np.ndarray

    def rows_of(self, names: Sequence[str]) -> np.ndarray:
        """The row of each of ``names``; -1: it has no row. Endings of pictures do not matter."""
        row = {_stem(picture): i for i, picture in enumerate(self.pictures)}
        return np.array([row.get(_stem(name), -1) for name in names], np.int64)


def read_table(path: Path, data: bytes | None = None) -> Table:
    """The annotation file at ``path``, or with this content.

    Columns are separated by commas, semicolons, tabs or spaces, and may be quoted. Above the first
    picture stand nothing, the column names, or a count and the column names. Numbers may be written
    as ``1``, ``1.0``, ``+1`` or ``True``. Columns that number the rows, which pandas writes, are
    dropped. Raises InputError that names the line and the column.
    """
    rows = _rows(path, path.read_bytes() if data is None else data)
    above: list[tuple[int, list[str]]] = []
    for first, row in rows:
        named = next((i for i, cell in enumerate(row) if PICTURE.fullmatch(_base(cell))), None)
        if named is not None:
            break
        above.append((first, row))
    else:
        raise InputError(
            f"{path} names no picture: it is no annotation file of CelebA, or not all of it; fetch "
            "it again."
        )
    width = len(row)
    header = _header(path, above, width, named)
    pictures: list[str] = []
    values = array("d")
    for line, cells in chain([(first, row)], rows):
        if len(cells) != width:
            raise InputError(
                f"{path} is not complete: line {line} has {len(cells)} columns, and line {first} "
                f"has {width}; fetch it again."
            )
        pictures.append(_base(cells.pop(named)))
        try:
            numbers = list(map(float, cells))
            if not all(map(float.is_integer, numbers)):
                raise ValueError
        except ValueError:
            numbers = [_number(path, *cell) for cell in zip(cells, repeat(line), header)]
        values.extend(numbers)
    table = np.frombuffer(values).reshape(len(pictures), width - 1).astype(np.int64)
    counts = [
        (i < named or (any(header) and INDEX.fullmatch(header[i]))) and _counts(table[:, i])
        for i in range(width - 1)
    ]
    kept = np.flatnonzero(~np.array(counts, bool))
    if not len(kept):
        raise InputError(f"{path} names pictures, and has no values for them; fetch it again.")
    columns = [header[i] for i in kept] if any(header) else []
    return Table(path, columns, pictures, table[:, kept])


def _counts(values: np.ndarray) -> bool:
    """Whether a column numbers the rows, or some of a larger table."""
    return bool((values >= 0).all() and (np.diff(np.sort(values)) > 0).all())


def _rows(path: Path, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Cells of each line that is not empty, with its number."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = data.decode(encoding, "replace").replace("\0", "")
    sample = next((line for line in text.splitlines() if PICTURE.search(line)), "")
    separator = next((mark for mark in ",;\t" if mark in sample), None)
    if separator is None:
        for number, line in enumerate(text.splitlines(), start=1):
            if cells := line.split():
                yield number, [cell.strip("\"'") for cell in cells]
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise InputError(
            f"{path} cannot be read: line {reader.line_num}: {error}; fetch it again."
        ) from error


def _header(path: Path, above: list[tuple[int, list[str]]], width: int, named: int) -> list[str]:
    """Names of all columns but the pictures': the last line above these, or else nothing."""
    line, names = above[-1] if above else (0, [])
    if not above or (len(names) == 1 and width != 2 and names[0].isdecimal()):  # the count alone
        return [""] * (width - 1)
    if len(names) == width:
        return names[:named] + names[named + 1 :]
    if len(names) != width - 1:  # the authors give the pictures' column no name
        raise InputError(
            f"{path} is not complete: line {line} has {len(names)} names for {width} columns; "
            "fetch it again."
        )
    return names


def _number(path: Path, cell: str, line: int, column: str) -> float:
    try:
        value = WORDS[cell.lower()] if cell.lower() in WORDS else float(cell)
        if not value.is_integer():
            raise ValueError
    except (ValueError, OverflowError):
        where = f"line {line}, column {column}" if column else f"line {line}"
        raise InputError(
            f"{path} cannot be read: {where} has {cell!r} where a whole number is "
            "expected; correct it, or fetch the file again."
        ) from None
    return value


def _base(cell: str) -> str:
    return re.split(r"[/\\]", cell)[-1]


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0].lower()
