"""Find CelebA's pictures and annotation files in the common layouts."""

import logging
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facegan.data.packing.readers import Files, FolderFiles, ZipFiles
from facegan.errors import InputError

log = logging.getLogger(__name__)

KAGGLE = "jessicali9530/celeba-dataset/versions/2"  # a fixed version is found again offline
TABLES = ("list_attr_celeba", "list_eval_partition", "identity_CelebA")
TABLE_ENDINGS = (".txt", ".csv")

Listing = tuple[list[str], dict[str, np.ndarray]]  # names, and columns about them


@dataclass(frozen=True)
class Table:
    """An annotation file: ``values`` (n, columns), a row per picture; columns may be unnamed."""

    path: Path
    columns: list[str]
    pictures: list[str]
    values: np.ndarray

    def rows_of(self, names: Sequence[str]) -> np.ndarray:
        """The row of each of ``names``; -1: it has no row."""
        row = {picture: i for i, picture in enumerate(self.pictures)}
        return np.array([row.get(name, -1) for name in names], np.int64)


@dataclass(frozen=True)
class Found:
    """Pictures in a zip or a directory, and the directories their annotations may be in.

    ``columns`` are arrays in the order of ``names``: ``size`` in bytes and, for pictures in a zip,
    the columns of :class:`ZipFiles`.
    """

    pictures: Path
    names: list[str]
    columns: dict[str, np.ndarray]
    annotations: Sequence[Path]

    def take(self, rows: np.ndarray) -> "Found":
        """Only these of the pictures."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return replace(self, names=[self.names[row] for row in rows], columns=columns)

    def files(self) -> Files:
        """Opens the pictures, in the order of ``names``."""
        if "offset" in self.columns:
            return ZipFiles(self.pictures, self.columns)
        return FolderFiles(self.pictures, self.names)

    def table(self, stem: str) -> Table | None:
        """The annotation file ``stem``.txt or .csv; ``None`` if neither exists."""
        for place in self.annotations:
            for path in (place / f"{stem}{ending}" for ending in TABLE_ENDINGS):
                if path.is_file():
                    return _parse(path)
        return None


@dataclass(frozen=True)
class _Layout:
    """Paths under which one layout keeps its files, whether or not they exist."""

    archive: Path
    folders: tuple[Path, Path]
    annotations: Sequence[Path]


def _layouts(root: Path) -> Iterator[_Layout]:
    """The known layouts at or under ``root``, in the order in which they are looked for."""
    bases = [root, root / "celeba"]
    around = []  # more places of annotations, if root is the folder of pictures itself
    if root.name == "img_align_celeba":
        bases.append(root.parent)
        around = [root.parent, root.parent.parent]  # Kaggle nests one folder in another
    for base in bases:
        # Anno, Eval and Img: the authors' own tree.
        annotations = [base, base / "Anno", base / "Eval", *around]
        for place in (base, base / "Img"):
            folder = place / "img_align_celeba"
            archive = place / "img_align_celeba.zip"
            yield _Layout(archive, (folder / folder.name, folder), annotations)


def find(root: Path) -> Found | None:
    """The first of the known layouts at or under ``root``; a zip before a directory."""
    for layout in _layouts(root):
        listing = _in_zip(layout.archive)
        if listing is not None:
            return Found(layout.archive, *listing, layout.annotations)
        for folder in layout.folders:
            listing = _in_folder(folder)
            if listing is not None:
                return Found(folder, *listing, layout.annotations)
        if layout.archive.exists():
            raise InputError(
                f"{layout.archive} is not a complete zip file with *.jpg in it (was its download "
                "cut short?); fetch it again."
            )
    return None


def is_there(root: Path) -> bool:
    """Whether :func:`find` would find a picture or a zip, without listing them."""
    return any(
        layout.archive.exists() or any(map(_has_pictures, layout.folders))
        for layout in _layouts(root)
    )


def fingerprint(root: Path) -> list[Any] | None:
    """Path, size and time of change of every file that :func:`find` looks for and finds.

    ``None`` if the pictures are in a directory: only listing it would show that one was replaced.
    """
    paths: list[Path] = []
    zipped = None
    for layout in _layouts(root):
        if zipped is None and (layout.archive.exists() or any(map(_has_pictures, layout.folders))):
            zipped = zipfile.is_zipfile(layout.archive)
        tables = [place / f"{stem}{end}" for place in layout.annotations
                  for stem in TABLES for end in TABLE_ENDINGS]  # fmt: skip
        paths += [layout.archive, *layout.folders, *tables]
    if not zipped:
        return None
    stats = [(path, path.stat()) for path in dict.fromkeys(paths) if path.exists()]
    return [
        [str(path), 0 if path.is_dir() else stat.st_size, stat.st_mtime_ns] for path, stat in stats
    ]


def _has_pictures(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(_is_picture(entry.name) for entry in entries)


def _in_zip(path: Path) -> Listing | None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.rsplit("/", 1)[-1]: info for info in archive.infolist()}
    except (OSError, zipfile.BadZipFile):
        return None
    names = sorted(filter(_is_picture, members))
    if not names:
        return None
    infos = [members[name] for name in names]
    return names, {
        "size": np.array([info.file_size for info in infos]),
        "offset": np.array([info.header_offset for info in infos]),
        "packed": np.array([info.compress_size for info in infos]),
        "method": np.array([info.compress_type for info in infos]),
        "crc": np.array([info.CRC for info in infos]),
    }


def _in_folder(path: Path) -> Listing | None:
    if not path.is_dir():
        return None
    with os.scandir(path) as entries:
        sizes = {
            entry.name: entry.stat().st_size
            for entry in entries
            if _is_picture(entry.name) and entry.is_file()  # not a link to nothing
        }
    if not sizes:
        return None
    names = sorted(sizes)
    return names, {"size": np.array([sizes[name] for name in names])}


def _is_picture(name: str) -> bool:
    return name.lower().endswith(".jpg") and not name.startswith(".")  # ._000001.jpg is macOS's


def fetch() -> Path:
    """Download CelebA from Kaggle unless it was before; returns the directory."""
    try:
        import kagglehub
    except ImportError as error:
        raise InputError(
            "dataset.download=kaggle needs kagglehub: pip install 'facegan[kaggle]'."
        ) from error
    log.info("Fetching CelebA from Kaggle (%s, 1.4 GB) unless it was fetched before …", KAGGLE)
    try:
        return Path(kagglehub.dataset_download(KAGGLE))
    except Exception as error:  # kagglehub's, requests' and the system's own kinds
        raise InputError(
            f"CelebA could not be fetched from Kaggle ({error}); fetch {KAGGLE} in a browser, "
            "unpack it and set dataset.root to that directory."
        ) from error


def _parse(path: Path) -> Table:
    separator = "," if path.suffix == ".csv" else None
    try:
        lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
        # Above the first picture: nothing, the column names, or a count and the column names.
        first = next(i for i, line in enumerate(lines) if "." in line.split(separator)[0])
        width = len(lines[first].split(separator)) - 1
        columns = [name.strip() for name in lines[first - 1].split(separator)] if first else []
        if columns and len(columns[-width:]) != width:
            raise ValueError(f"{len(columns)} names for {width} columns")
        pictures = [line.split(separator, 1)[0].strip() for line in lines[first:]]
        values = np.loadtxt(
            lines[first:],
            np.int32,
            delimiter=separator,
            usecols=range(1, width + 1),
            ndmin=2,
        )
    except (ValueError, StopIteration) as error:
        raise InputError(
            f"{path} is not a complete annotation file of CelebA "
            f"({error or 'no picture is named'}); fetch it again."
        ) from error
    return Table(path, columns[-width:], pictures, values)
