"""Where CelebA's pictures and annotation files are: the layouts people have on their disks."""

import logging
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facegan.data.packing.readers import Files, FolderFiles, ZipFiles
from facegan.errors import InputError, expect

log = logging.getLogger(__name__)

KAGGLE = "jessicali9530/celeba-dataset/versions/2"  # a fixed version is found again offline

Listing = tuple[list[str], dict[str, np.ndarray]]  # names, and columns about them


@dataclass(frozen=True)
class Table:
    """An annotation file: integers (n, columns) about pictures; columns may have no names."""

    path: Path
    columns: list[str]
    pictures: list[str]
    values: np.ndarray

    def rows_of(self, names: Sequence[str]) -> np.ndarray:
        """The row about each of ``names``, -1 where there is none."""
        row = {picture: i for i, picture in enumerate(self.pictures)}
        return np.array([row.get(name, -1) for name in names], np.int64)


@dataclass(frozen=True)
class Found:
    """Pictures in a zip or a directory, and where their annotations may be.

    ``columns`` are about ``names``, in their order: ``size`` in bytes, and of pictures in a zip
    what :class:`ZipFiles` wants to know.
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
        """To read the pictures, in the order of ``names``."""
        if "offset" in self.columns:
            return ZipFiles(self.pictures, self.columns)
        return FolderFiles(self.pictures, self.names)

    def table(self, stem: str) -> Table | None:
        """The annotation file ``stem``.txt or .csv, if there is one."""
        for place in self.annotations:
            for path in (place / f"{stem}.txt", place / f"{stem}.csv"):
                if path.is_file():
                    return _parse(path)
        return None


def find(root: Path) -> Found | None:
    """The first of the known layouts at or under ``root``; a zip goes before a directory."""
    bases = [root, root / "celeba"]
    around = []  # where annotations are, too, if root is the folder of pictures itself
    if root.name == "img_align_celeba":
        bases.append(root.parent)
        around = [root.parent, root.parent.parent]  # in Kaggle's layout one lies in another
    for base in bases:
        # Anno, Eval and Img: the authors' own tree.
        annotations = [base, base / "Anno", base / "Eval", *around]
        for place in (base, base / "Img"):
            archive = place / "img_align_celeba.zip"
            folder = place / "img_align_celeba"
            for pictures in (archive, folder / folder.name, folder):
                listing = _in_zip(pictures) if pictures is archive else _in_folder(pictures)
                if listing is not None:
                    return Found(pictures, *listing, annotations)
            expect(
                not archive.exists(),
                f"{archive} is no complete zip file with *.jpg in it (was its download cut short?);"
                " fetch it again.",
            )
    return None


def _in_zip(path: Path) -> Listing | None:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename.rsplit("/", 1)[-1]: info for info in archive.infolist()}
    except (OSError, zipfile.BadZipFile):
        return None
    return _columns(
        [name for name in infos if _is_picture(name)],
        size=lambda name: infos[name].file_size,
        offset=lambda name: infos[name].header_offset,
        packed=lambda name: infos[name].compress_size,
        method=lambda name: infos[name].compress_type,
        crc=lambda name: infos[name].CRC,
    )


def _in_folder(path: Path) -> Listing | None:
    if not path.is_dir():
        return None
    with os.scandir(path) as entries:
        sizes = {
            entry.name: entry.stat().st_size
            for entry in entries
            if _is_picture(entry.name) and entry.is_file()  # not a link to nothing
        }
    return _columns(list(sizes), size=sizes.__getitem__)


def _columns(names: list[str], **facts: Callable[[str], int]) -> Listing | None:
    """The names in order, and an array of each fact about them; ``None`` if there are none."""
    names.sort()
    arrays = {title: np.array([fact(name) for name in names]) for title, fact in facts.items()}
    return (names, arrays) if names else None


def _is_picture(name: str) -> bool:
    return name.lower().endswith(".jpg") and not name.startswith(".")  # ._000001.jpg is macOS's


def fetch() -> Path:
    """Download CelebA from Kaggle, or find what was downloaded before; returns the directory."""
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
            f"{path} is not a whole annotation file of CelebA ({error or 'no picture is named'}); "
            "fetch it again."
        ) from error
    return Table(path, columns[-width:], pictures, values)
