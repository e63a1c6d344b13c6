"""CelebA (Liu et al., ICCV 2015): aligned faces, 40 attributes, the official split, identities."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facegan.data.module import ImageDataModule
from facegan.data.packing.readers import PictureReader
from facegan.data.packing.source import Source
from facegan.data.settings import CelebASettings
from facegan.data.sources.celeba_files import (
    Found,
    fetch,
    find,
    fingerprint,
    is_there,
    what_is_there,
)
from facegan.data.sources.label_files import Table
from facegan.data.sources.parquet import parquet_files, parquet_fingerprint, read_parquet
from facegan.errors import InputError

FIRST_VAL, FIRST_TEST = 162_771, 182_638  # the official split goes by the picture's number


class CelebA(ImageDataModule):
    """CelebA, or a part of it, in any of the common layouts.

    ``root`` or a folder in it holds the pictures as ``img_align_celeba.zip`` (original),
    ``archive.zip`` (Kaggle, with the annotations), ``img_align_celeba/*.jpg`` (torchvision),
    ``img_align_celeba/img_align_celeba/*.jpg`` (Kaggle, unpacked) or themselves, as JPEG or PNG,
    and ``list_attr_celeba``, ``list_eval_partition``, ``identity_CelebA`` as ``.txt`` or ``.csv``;
    capitals do not matter; or it has Hugging Face's parquet files. Labels are the attributes, 0 or
    1. Without an attribute file there are none; with one, pictures that have no row in it are left
    out. Warnings report what is missing.
    """

    settings_class, directory = CelebASettings, "celeba"

    def is_found(self) -> bool:
        return is_there(self.root) or bool(parquet_files(self.root))

    def fingerprint(self) -> list[Any] | None:
        root = self.root.absolute()
        return fingerprint(root) if is_there(root) else parquet_fingerprint(root)

    def source(self) -> Source:
        root, crop = self.root, self.settings.crop
        found = find(root)
        if found is None and parquet_files(root):
            return self._of_parquet(root)
        if found is None and self.settings.download == "kaggle":
            found = find(fetch())
        if found is None:
            raise InputError(
                f"CelebA was not found: neither {root} nor a folder in it has "
                "img_align_celeba.zip, archive.zip, img_align_celeba/*.jpg or 000001.jpg "
                f"({what_is_there(root)}); set dataset.root to where it is, or "
                "dataset.download=kaggle to fetch it."
            )
        notes: list[str] = []
        found, labels, label_names = _attributes(found, notes)
        return Source(
            name=self.name,
            size=self.image_size,
            channels=self.channels,
            reader=PictureReader(found.files(), self.image_size, self.channels, crop),
            names=found.names,
            labels=labels,
            label_names=label_names,
            splits=_splits(found, notes),
            identities=_identities(found, notes),
            settings=_settings(crop, found.columns["size"]),
            origin=str(found.pictures),
            notes=notes,
        )

    def _of_parquet(self, root: Path) -> Source:
        table = read_parquet(root)
        reader = PictureReader(table.files, self.image_size, self.channels, self.settings.crop)
        return Source(
            name=self.name,
            size=self.image_size,
            channels=self.channels,
            reader=reader,
            names=table.names,
            labels=(table.values > 0).astype(np.uint8),
            label_names=table.label_names,
            splits=_by_number(table.names) if table.splits is None else table.splits,
            identities=table.identities,
            settings=_settings(self.settings.crop, table.sizes),
            origin=str(root),
            notes=[] if table.label_names else ["no columns of attributes, so no labels"],
        )


def _settings(crop: int, sizes: np.ndarray) -> dict[str, Any]:
    """What else determines the pixels; the same for the same pictures in any kind of file."""
    return {"crop": crop, "file sizes": hashlib.sha256(sizes.astype("<i8").tobytes()).hexdigest()}


def _by_number(names: Sequence[str]) -> np.ndarray:
    numbers = [int(name[:-4]) if name[:-4].isdecimal() else 0 for name in names]
    return np.digitize(numbers, (FIRST_VAL, FIRST_TEST)).astype(np.uint8)


def _attributes(found: Found, notes: list[str]) -> tuple[Found, np.ndarray, list[str]]:
    """The pictures to use, their labels (n, L) and the label names."""
    table = found.table("list_attr_celeba")
    if table is None:
        notes.append(f"no list_attr_celeba.txt or .csv in {found.annotations[0]}, so no labels")
        return found, np.zeros((len(found.names), 0), np.uint8), []
    rows = table.rows_of(found.names)
    _report(table, rows, found, "which are left out", notes)
    if not (rows >= 0).any() or not table.columns:
        raise InputError(
            f"{table.path} does not describe the pictures in {found.pictures}: it must have a line "
            "of attribute names and then a row for each picture; fetch both again."
        )
    labels = table.values[rows[rows >= 0]] > 0  # -1 and 1 in the original, 0 and 1 in some copies
    return found.take(np.flatnonzero(rows >= 0)), labels.astype(np.uint8), table.columns


def _splits(found: Found, notes: list[str]) -> np.ndarray:
    splits = _by_number(found.names)
    table = found.table("list_eval_partition")
    if table is None:
        notes.append("no list_eval_partition.txt or .csv, so pictures are split by their number")
        return splits
    rows = table.rows_of(found.names)
    _report(table, rows, found, "which are split by their number", notes)
    if not np.isin(table.values[:, 0], (0, 1, 2)).all():
        raise InputError(
            f"{table.path} must have 0, 1 or 2 (train, val or test) for each picture; fetch it "
            "again."
        )
    return np.where(rows >= 0, table.values[rows, 0], splits).astype(np.uint8)


def _identities(found: Found, notes: list[str]) -> np.ndarray | None:
    table = found.table("identity_CelebA")
    if table is None:
        return None
    rows = table.rows_of(found.names)
    _report(table, rows, found, "whose identity is unknown", notes)
    return np.where(rows >= 0, table.values[rows, 0], -1).astype(np.int64)


def _report(
    table: Table, rows: np.ndarray, found: Found, consequence: str, notes: list[str]
) -> None:
    """Note the pictures that ``table`` has no row for, and its rows without a picture."""
    missing = [name for name, row in zip(found.names, rows, strict=True) if row < 0]
    if missing:
        some = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        notes.append(
            f"{table.path.name} has no row for {len(missing)} pictures ({some}), {consequence}"
        )
    extra = len(table.pictures) - (len(rows) - len(missing))
    if extra > 0:
        notes.append(f"{extra} rows of {table.path.name} are for pictures that are not used")
