"""Pictures in parquet files, as Hugging Face keeps data sets."""

import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from facegan.errors import InputError

ROWS = 64  # pictures held in memory at a time
SPLIT = re.compile(r"(?<![a-z])(train|valid|val|validation|test)(ing|ation)?(?![a-z])")
SPLITS = {"train": 0, "valid": 1, "val": 1, "validation": 1, "test": 2}
PEOPLE = ("celeb_id", "identity", "identity_id", "person_id")


@dataclass
class ParquetFiles:
    """Pictures by their place in parquet files: see :class:`facegan.data.packing.readers.Files`.

    ``columns``: arrays of equal length ``file``, ``group`` and ``row`` (within its group);
    ``image``: the column with the bytes.
    """

    paths: list[Path]
    image: str
    columns: dict[str, np.ndarray]
    _open: Any = field(default=None, repr=False)  # (file, group), its batches, first row, pictures

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": None}

    def where(self, index: int) -> str:
        return str(self.paths[int(self.columns["file"][index])])

    def close(self) -> None:
        self._open = None

    def open(self, index: int) -> IO[bytes]:
        file, group, row = (int(self.columns[name][index]) for name in ("file", "group", "row"))
        if self._open is None or self._open[0] != (file, group) or row < self._open[2]:
            batches = _batches(self.paths[file], [self.image], group)
            self._open = ((file, group), batches, 0, next(batches))
        place, batches, first, batch = self._open
        while row >= first + batch.num_rows:
            first, batch = first + batch.num_rows, next(batches)
            self._open = (place, batches, first, batch)
        data = _bytes(batch.column(0))[row - first].as_py()
        if data is None:
            raise OSError("no picture in this row")
        return io.BytesIO(data)


@dataclass(frozen=True)
class ParquetTable:
    """What parquet files hold, a row per picture sorted by name.

    Attributes:
        sizes, sums: bytes of each picture and their checksum.
        values: (N, L) of ``label_names``; ``class_names``: of those with classes.
        identities: (N,) of people; ``None``: unknown.
        splits: (N,) 0 train, 1 val, 2 test, by the files' names; ``None`` where these do not say.
    """

    files: ParquetFiles
    names: list[str]
    sizes: np.ndarray
    sums: np.ndarray
    values: np.ndarray
    label_names: list[str]
    class_names: dict[str, list[str]]
    identities: np.ndarray | None
    splits: np.ndarray | None


def parquet_files(root: Path) -> list[Path]:
    """All parquet files in or below ``root``, or ``root`` itself: train, then valid, then test."""
    paths = [root] if root.is_file() else root.rglob("*.parquet")
    shown = [
        p for p in paths if not any(part.startswith(".") for part in p.relative_to(root).parts)
    ]
    return sorted(shown, key=lambda path: (_split(path, root) or 0, str(path)))


def parquet_fingerprint(root: Path) -> list[Any] | None:
    """Path, size and time of change of the parquet files below ``root``; ``None``: no files."""
    stats = [(path, path.stat()) for path in parquet_files(root)]
    return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats] or None


def read_parquet(root: Path) -> ParquetTable:
    """The pictures and labels in the parquet files below ``root``.

    All bytes are read once, ROWS pictures at a time. Raises InputError without pyarrow, without a
    column of pictures, and for files that cannot be read or differ in their columns.
    """
    paths = parquet_files(root)
    schema, image = _schema(paths[0])
    labels, people, class_names = _labels(schema)
    wanted = [image, *labels, *([people] if people else [])]
    columns: dict[str, list[int]] = {"file": [], "group": [], "row": []}
    names: list[str] = []
    sizes: list[int] = []
    sums: list[int] = []
    splits: list[int | None] = []
    values: dict[str, list[int]] = {name: [] for name in wanted[1:]}
    for number, path in enumerate(paths):
        if missing := set(wanted) - set(_schema(path)[0].names):
            raise InputError(
                f"{path} has no column {', '.join(sorted(missing))}, which {paths[0].name} has: "
                "set dataset.root to the files of one data set."
            )
        for group in range(_parquet(path).num_row_groups):
            row = 0
            for batch in _batches(path, wanted, group):
                pictures = [cell.as_py() for cell in _bytes(batch.column(0))]
                written = _paths(batch.column(0))
                for data, name in zip(pictures, written, strict=True):
                    columns["file"].append(number)
                    columns["group"].append(group)
                    columns["row"].append(row)
                    names.append(name or f"{len(names) + 1:06d}.jpg")
                    sizes.append(len(data or b""))
                    sums.append(zlib.crc32(data or b""))
                    splits.append(_split(path, root))
                    row += 1
                for place, name in enumerate(wanted[1:], start=1):
                    values[name] += (int(v or 0) for v in batch.column(place).to_pylist())
    if not names:
        raise InputError(f"The parquet files in {root} have no rows; fetch them again.")
    if len(set(names)) < len(names):  # paths that do not tell pictures apart
        names = [f"{i + 1:06d}.jpg" for i in range(len(names))]
    order = np.array(sorted(range(len(names)), key=names.__getitem__))
    table = np.array([values[name] for name in labels], np.int64).T.reshape(len(names), len(labels))
    return ParquetTable(
        files=ParquetFiles(paths, image, {k: np.array(v)[order] for k, v in columns.items()}),
        names=[names[i] for i in order],
        sizes=np.array(sizes)[order],
        sums=np.array(sums)[order],
        values=table[order],
        label_names=labels,
        class_names=class_names,
        identities=np.array(values[people])[order] if people else None,
        splits=None if None in splits else np.array(splits, np.uint8)[order],
    )


def _split(path: Path, root: Path) -> int | None:
    """The split that the name of a file or of its folders below ``root`` says."""
    found = SPLIT.findall("/".join(path.relative_to(root.parent).parts[1:] or [path.name]).lower())
    return SPLITS[found[-1][0]] if found else None


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise InputError(f"{path} is read with pyarrow: pip install 'facegan[parquet]'.") from error
    try:
        return parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise InputError(
            f"{path} is not a complete parquet file ({error}); fetch it again."
        ) from error


def _batches(path: Path, columns: list[str], group: int) -> Iterator[Any]:
    file = _parquet(path)
    yield from (
        batch.select(columns)
        for batch in file.iter_batches(ROWS, row_groups=[group], columns=columns)
    )


def _schema(path: Path) -> tuple[Any, str]:
    """The schema of a file, and its column of pictures: bytes, or a struct that has them."""
    schema = _parquet(path).schema_arrow
    kinds = {name: str(schema.field(name).type) for name in schema.names}
    struct = [n for n, k in kinds.items() if k.startswith("struct<") and "bytes: binary" in k]
    binary = [n for n, k in kinds.items() if k in ("binary", "large_binary")]
    if not struct and not binary:
        raise InputError(f"{path} has no column of pictures; it has: {', '.join(schema.names)}.")
    return schema, (struct or binary)[0]


def _bytes(column: Any) -> Any:
    return column.field("bytes") if hasattr(column, "field") else column


def _paths(column: Any) -> list[str | None]:
    """Names of the pictures without folders, where the data set keeps them."""
    if not hasattr(column, "field") or "path" not in [f.name for f in column.type]:
        return [None] * len(column)
    return [path and re.split(r"[/\\]", path)[-1] for path in column.field("path").to_pylist()]


def _labels(schema: Any) -> tuple[list[str], str | None, dict[str, list[str]]]:
    """Columns of labels, the column of people, and names of classes.

    Labels are boolean columns and those that the data set's description names the classes of.
    """
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = described.get("info", {}).get("features", {})
    kinds = {name: str(schema.field(name).type) for name in schema.names}
    classes = {
        name: list(features[name]["names"])
        for name in schema.names
        if isinstance(features.get(name), dict) and features[name].get("_type") == "ClassLabel"
    }
    labels = [name for name, kind in kinds.items() if kind == "bool" or name in classes]
    people = next((name for name in PEOPLE if kinds.get(name, "").startswith("int")), None)
    return labels, people, classes
