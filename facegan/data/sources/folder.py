"""Any tree of pictures."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facegan.data.module import ImageDataModule
from facegan.data.packing.readers import FolderFiles, PictureReader
from facegan.data.packing.source import Source
from facegan.errors import InputError, expect, expect_int
from facegan.pictures.sheets import SHEET

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing")


class Folder(ImageDataModule):
    """All pictures under ``root``; a first-level sub-folder's name is the label ``class``.

    Pictures of any size and mode: EXIF rotation is applied, transparency is laid over white,
    16-bit grey is scaled, of an animation the first frame is taken. Hidden files and folders are
    ignored, and so is ``grid.png``, the sheet that ``facegan.sample`` writes beside its pictures;
    links to folders are followed, each once. A picture is in val or test (5 % each) by a hash of
    its name, so that its split stays when others are added.

    Args:
        root: the directory; ``None``: ``data_dir/folder``.
        crop: side in pixels of the centre square that is kept; ``None``: the shorter side.
        **common: see :class:`ImageDataModule`.
    """

    def __init__(
        self,
        name: str = "folder",
        root: str | None = None,
        crop: int | None = None,
        flip: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(name, flip=flip, **common)
        if crop is not None:
            expect_int("dataset.crop", crop, 8)
        self.root, self.crop = self.expect_root(root, "folder"), crop

    def source(self) -> Source:
        root = self.root
        expect(
            root.is_dir(),
            f"{root} is not a directory; set dataset.root to one with pictures in it.",
        )
        found = sorted(_pictures(root))
        expect(
            bool(found),
            f"{root} has no pictures ({', '.join(ENDINGS)}) in it or below; "
            "set dataset.root to a directory that has.",
        )
        names = [name for name, _, _ in found]
        stats = np.array([(size, changed) for _, size, changed in found], "<i8")

        folders = [name.split("/")[0] if "/" in name else "." for name in names]
        classes = sorted(set(folders))
        labelled = classes != ["."]
        values = np.searchsorted(classes, folders)[:, None]
        splits = np.array([_split(name) for name in names], np.uint8)
        if not (splits == 0).any():  # a handful of pictures, all of which fell elsewhere
            splits[:] = 0
        return Source(
            name=self.name,
            size=self.image_size,
            channels=self.channels,
            reader=PictureReader(
                FolderFiles(root, names), self.image_size, self.channels, self.crop
            ),
            names=names,
            labels=values if labelled else values[:, :0],
            label_names=["class"] if labelled else [],
            class_names={"class": classes} if labelled else {},
            splits=splits,
            settings={
                "crop": self.crop,
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

    A folder that links lead to as well is read once: else one picture might be in two splits.
    """
    seen = set()
    for folder, folders, files in os.walk(root, onerror=_cannot_look, followlinks=True):
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
            if path.suffix.lower() in ENDINGS and path.is_file():
                status = path.stat()
                yield path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns


def _cannot_look(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be looked into ({error.strerror}).") from error


def _split(name: str) -> int:
    """0 train, 1 val or 2 test, always the same for the same name."""
    hashed = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int(np.digitize(int.from_bytes(hashed[:4], "big") % 100, (90, 95)))
