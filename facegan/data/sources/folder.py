"""Pictures in any directory tree."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facegan.data.module import ImageDataModule
from facegan.data.packing.readers import FolderFiles, PictureReader
from facegan.data.packing.source import Source
from facegan.data.settings import FolderSettings
from facegan.errors import InputError
from facegan.pictures.sheets import SHEET

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing")


class Folder(ImageDataModule):
    """All pictures under ``root``; a first-level sub-folder's name is the label ``class``.

    Pictures may have any size and mode: EXIF rotation is applied, transparency is laid over white,
    16-bit grey is scaled, and an animation gives its first frame. Hidden files and folders are
    ignored, as is ``grid.png``, the sheet that ``facegan.sample`` writes beside its pictures; links
    to folders are followed once. A hash of its name puts a picture into val or test (5 % each), so
    that its split stays the same when others are added.
    """

    settings_class, directory = FolderSettings, "folder"

    def is_found(self) -> bool:
        return self.root.is_dir() and next(_pictures(self.root), None) is not None

    def source(self) -> Source:
        root, crop = self.root, self.settings.crop
        if not root.is_dir():
            raise InputError(
                f"{root} is not a directory; set dataset.root to one with pictures in it."
            )
        found = sorted(_pictures(root))
        if not found:
            raise InputError(
                f"{root} has no pictures ({', '.join(PICTURE_ENDINGS)}) in it or below; "
                "set dataset.root to a directory that has."
            )
        names = [name for name, _, _ in found]
        stats = np.array([(size, changed) for _, size, changed in found], "<i8")

        folders = [name.split("/")[0] if "/" in name else "." for name in names]
        classes = sorted(set(folders))
        labelled = classes != ["."]
        values = np.searchsorted(classes, folders)[:, None]
        splits = np.array([_split(name) for name in names], np.uint8)
        if not (splits == 0).any():  # a few pictures, none of which fell into train
            splits[:] = 0
        return Source(
            name=self.name,
            size=self.image_size,
            channels=self.channels,
            reader=PictureReader(FolderFiles(root, names), self.image_size, self.channels, crop),
            names=names,
            labels=values if labelled else values[:, :0],
            label_names=["class"] if labelled else [],
            class_names={"class": classes} if labelled else {},
            splits=splits,
            settings={
                "crop": crop,
                "files": hashlib.sha256(stats.tobytes()).hexdigest(),
            },
            origin=str(root.resolve()),
            notes=_notes(classes),
        )


def _notes(classes: Sequence[str]) -> list[str]:
    if not all(name.lower() in SPLIT_NAMES for name in classes):
        return []
    return [
        f"the folders {', '.join(classes)} are taken for labels, not for splits: pictures are "
        "split by their names; to use one of the folders alone, set dataset.root to it"
    ]


def _pictures(root: Path) -> Iterator[tuple[str, int, int]]:
    """Relative name with ``/``, size and time of change of every picture under ``root``.

    A folder that is also linked to is read once: else one picture might be in two splits.
    """
    seen = set()
    for folder, folders, files in os.walk(root, onerror=_raise_unreadable, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        visible = (name for name in folders if not name.startswith("."))
        # Links last, so that a folder keeps its own name.
        folders[:] = sorted(visible, key=lambda name: (Path(folder, name).is_symlink(), name))
        for name in files:
            path = Path(folder, name)
            if name == SHEET or name.startswith("."):
                continue
            if path.suffix.lower() in PICTURE_ENDINGS and path.is_file():
                status = path.stat()
                yield path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns


def _raise_unreadable(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be listed ({error.strerror}).") from error


def _split(name: str) -> int:
    """0 train, 1 val or 2 test; depends on the name only."""
    hashed = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int(np.digitize(int.from_bytes(hashed[:4], "big") % 100, (90, 95)))
