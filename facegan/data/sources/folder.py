"""Pictures in any directory tree."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from facegan.data.module import ImageDataModule
from facegan.data.packing.readers import FolderFiles, PictureReader
from facegan.data.packing.source import Source
from facegan.data.settings import FolderSettings
from facegan.data.sources.contents import described, digest
from facegan.data.sources.listing import LeftOut, Picture, any_picture, list_pictures
from facegan.data.sources.parquet import parquet_files, parquet_fingerprint, read_parquet
from facegan.errors import InputError
from facegan.files import legible

SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing")
# Names of the parts into which a large data set is divided: 00000, shard_3, part-0012, 7f.
PART = re.compile(
    r"(parts?|shards?|chunks?|batch(es)?|images?|folder|dir)?[-_ .]*([0-9]+|[0-9a-f]{1,4})"
)


class Folder(ImageDataModule):
    """All pictures under ``root``; a first-level sub-folder's name is the label ``class``.

    Pictures may be of any format, size and mode that Pillow reads: EXIF rotation is applied,
    transparency is laid over white, values of more than 8 bits are scaled, for all pictures alike,
    and an animation gives its first frame. Hidden files, folders of systems (thumbnails, bins),
    folders that facegan has written and ``grid.png``, the sheet that ``facegan.sample`` writes
    beside its pictures, are left out, and the log says so; links to folders are followed once. A
    hash of its name puts a picture into val or test (5 % each), so that its split stays the same
    when others are added. With ``labels=false`` the folders' names are no labels. Where there are
    no pictures, those in Hugging Face's parquet files are read, with their labels and splits.
    """

    settings_class, directory = FolderSettings, "folder"

    def content(self) -> dict[str, Any] | None:
        content = super().content()
        assert content is not None
        return content if self.settings.labels else content | {"labels": False}

    def is_found(self) -> bool:
        root = self.root
        return root.is_dir() and (any_picture(root) or bool(parquet_files(root)))

    @cached_property
    def _listing(self) -> tuple[list[Picture], LeftOut]:
        root = self.root
        if not root.is_dir():
            raise InputError(
                f"{root} is not a directory; set dataset.root to one with pictures in it."
            )
        found, left_out = list_pictures(root)
        if not found:
            raise InputError(
                f"{root} has no pictures in it or below"
                + "".join(f"; {note}" for note in left_out.notes())
                + "; set dataset.root to a directory that has."
            )
        return found, left_out

    def fingerprint(self) -> list[Any] | None:
        root = self.root.absolute()
        if not root.is_dir() or not any_picture(root):
            return parquet_fingerprint(root)
        listed = [(picture.name, picture.size, picture.changed) for picture in self._listing[0]]
        return [digest(listed)]

    def source(self) -> Source:
        root, crop = self.root, self.settings.crop
        if root.is_dir() and not any_picture(root) and parquet_files(root):
            return self._of_parquet(root)
        found, left_out = self._listing
        del self._listing  # a later call lists again
        content = described(root, found)
        names, files = _normalised([picture.name for picture in found])

        folders = [legible(name.split("/")[0]) if "/" in name else "." for name in names]
        classes = sorted(set(folders))
        labelled = self.settings.labels and classes != ["."]
        values = np.searchsorted(classes, folders)[:, None]
        splits = np.array([_split(name) for name in names], np.uint8)
        if not (splits == 0).any():  # a few pictures, none of which fell into train
            splits[:] = 0
        return Source(
            name=self.name,
            size=self.image_size,
            channels=self.channels,
            reader=PictureReader(
                FolderFiles(root, [found[i].name for i in files]),
                self.image_size,
                self.channels,
                crop,
                content.white,
            ),
            names=names,
            labels=values if labelled else values[:, :0],
            label_names=["class"] if labelled else [],
            class_names={"class": classes} if labelled else {},
            splits=splits,
            settings={
                "crop": crop,
                "content": digest([content.of[i] for i in files]),
                **({"white": content.white} if content.white else {}),
            },
            origin=str(root.resolve()),
            notes=[
                *left_out.notes(),
                *content.notes,
                *(_notes(classes) if labelled else []),
            ],
        )

    def _of_parquet(self, root: Path) -> Source:
        table = read_parquet(root)
        labelled = self.settings.labels
        splits = [_split(name) for name in table.names] if table.splits is None else table.splits
        splits = np.array(splits, np.uint8)
        if not (splits == 0).any():
            splits[:] = 0
        crop = self.settings.crop
        return Source(
            name=self.name,
            size=self.image_size,
            channels=self.channels,
            reader=PictureReader(table.files, self.image_size, self.channels, crop),
            names=table.names,
            labels=table.values if labelled else table.values[:, :0],
            label_names=table.label_names if labelled else [],
            class_names=table.class_names if labelled else {},
            identities=table.identities,
            splits=splits,
            settings={"crop": crop, "content": digest([table.sizes.tolist(), table.sums.tolist()])},
            origin=str(root.resolve()),
        )


def _normalised(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Names in Unicode's composed form, sorted, and the position that each had.

    macOS decomposes what other systems compose: the same pictures then have the same splits. Two
    names that become the same stay as they are.
    """
    composed = [unicodedata.normalize("NFC", name) for name in names]
    taken: dict[str, int] = {}
    for name in composed:
        taken[name] = taken.get(name, 0) + 1
    composed = [new if taken[new] == 1 else old for new, old in zip(composed, names, strict=True)]
    order = sorted(range(len(names)), key=composed.__getitem__)
    return [composed[i] for i in order], order


def _notes(classes: Sequence[str]) -> list[str]:
    if all(name.lower() in SPLIT_NAMES for name in classes):
        return [
            f"the folders {', '.join(classes)} are taken for labels, not for splits: pictures are "
            "split by their names; to use one of the folders alone, set dataset.root to it"
        ]
    named = [name for name in classes if name != "."]
    parts = all(PART.fullmatch(name.lower()) for name in named)
    if parts and any(character.isdecimal() for name in named for character in name):
        shown = ", ".join(named[:3]) + (f", … {named[-1]}" if len(named) > 3 else "")
        return [
            f"the folders {shown} are taken for labels; if they are only parts of the data set, "
            "set dataset.labels=false"
        ]
    return []


def _split(name: str) -> int:
    """0 train, 1 val or 2 test; depends on the name only."""
    hashed = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int(np.digitize(int.from_bytes(hashed[:4], "big") % 100, (90, 95)))
