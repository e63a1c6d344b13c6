"""Find CelebA's pictures and annotation files in the common layouts."""

import logging
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facegan.data.packing.readers import Files, FolderFiles, ZipFiles
from facegan.data.sources.label_files import Table, read_table
from facegan.errors import InputError
from facegan.files import legible

log = logging.getLogger(__name__)

KAGGLE = "jessicali9530/celeba-dataset/versions/2"  # a fixed version is found again offline
TABLES = ("list_attr_celeba", "list_eval_partition", "identity_CelebA")
PICTURES = re.compile(r"img_align_celeba", re.IGNORECASE)  # also _png, " (1)" and the like
ARCHIVE = re.compile(r"(img_align_celeba|archive|celeba).*\.zip", re.IGNORECASE)
NUMBERED = re.compile(r"\d{6}\.(jpe?g|png)", re.IGNORECASE)

Listing = tuple[list[str], dict[str, np.ndarray]]  # names, and columns about them


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
            if paths := _tables(place, stem):
                return read_table(paths[0])
        return _table_in_zip(self.pictures, stem) if "offset" in self.columns else None


@dataclass(frozen=True)
class _Place:
    """A zip or a folder that may hold the pictures, and where their annotations may be."""

    path: Path
    annotations: Sequence[Path]


def _entries(folder: Path) -> list[Path]:
    """What is in ``folder``, sorted without regard to case; nothing if it cannot be listed."""
    try:
        return sorted(folder.iterdir(), key=lambda path: (path.name.lower(), path.name))
    except OSError:
        return []


def _places(root: Path) -> Iterator[_Place]:
    """Where the pictures may be at or below ``root``, in the order in which they are looked for.

    Names are compared without regard to case: some programs write CelebA/IMG.
    """
    bases = [root, *sorted((p for p in _folders(root)), key=lambda p: p.name.lower() != "celeba")]
    # Around a folder of pictures are its annotations; Kaggle nests one such folder in another.
    around = [root.parent, root.parent.parent] if PICTURES.match(root.name) else []
    for base in bases:
        if PICTURES.match(base.name) and base != root:
            continue  # found below as a folder of pictures
        folders = _folders(base)
        annotations = [base, *(p for p in folders if p.name.lower() in ("anno", "eval"))]
        annotations += [root, *around] if base != root else around
        for place in (base, *(p for p in folders if p.name.lower() == "img")):
            named = [path for path in _entries(place) if PICTURES.match(path.name)]
            archives = [p for p in _entries(place) if ARCHIVE.fullmatch(p.name) and p.is_file()]
            for path in sorted(archives, key=lambda path: not PICTURES.match(path.name)):
                yield _Place(path, annotations)
            for folder in (path for path in named if path.is_dir()):
                inner = (path for path in _folders(folder) if PICTURES.match(path.name))
                yield from (_Place(path, annotations) for path in (*inner, folder))
    if _is_numbered(root):
        yield _Place(root, [root, *_folders(root), root.parent, root.parent.parent])


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if not path.name.startswith(".") and path.is_dir()]


def _is_numbered(folder: Path) -> bool:
    """Whether a folder has pictures with CelebA's names, 000001.jpg to 202599.jpg."""
    return any(NUMBERED.fullmatch(path.name) for path in _entries(folder))


def find(root: Path) -> Found | None:
    """The first of the known layouts at or under ``root``; a zip before a directory."""
    broken: list[Path] = []
    for place in _places(root):
        listing = _in_folder(place.path) if place.path.is_dir() else _in_zip(place.path, broken)
        if listing is not None:
            return Found(place.path, *listing, place.annotations)
    if broken:
        raise InputError(
            f"{broken[0]} is not a complete zip file with *.jpg in it (was its download "
            "cut short?); fetch it again."
        )
    return None


def is_there(root: Path) -> bool:
    """Whether :func:`find` would find a picture or a zip, without listing them."""
    return any(place.path.is_file() or _has_pictures(place.path) for place in _places(root))


def fingerprint(root: Path) -> list[Any] | None:
    """Path, size and time of change of every file that :func:`find` looks for and finds.

    ``None`` if the pictures are in a directory: only listing it would show that one was replaced.
    """
    places = list(_places(root))
    for place in places:
        if place.path.is_dir() and _has_pictures(place.path):
            return None
        if zipfile.is_zipfile(place.path):
            break
    else:
        return None
    found = [place.path for place in places]
    found += [path for place in places for annotations in place.annotations
              for stem in TABLES for path in _tables(annotations, stem)]  # fmt: skip
    stats = [(path, path.stat()) for path in dict.fromkeys(found)]
    return [
        [str(path), 0 if path.is_dir() else stat.st_size, stat.st_mtime_ns] for path, stat in stats
    ]


def what_is_there(root: Path) -> str:
    """What was found in ``root`` instead of CelebA, as the end of a sentence."""
    if not root.is_dir():
        return f"{root} is not a directory"
    entries = [path.name for path in _entries(root) if not path.name.startswith(".")]
    if not entries:
        return f"{root} is empty"
    shown = ", ".join(map(legible, entries[:6]))
    some = f"{root} has {shown}" + (f" and {len(entries) - 6} more" if len(entries) > 6 else "")
    if packed := [n for n in entries if re.search(r"\.(7z|rar|tar|tgz|gz|z\d\d|\d{3})$", n, re.I)]:
        some += f"; unpack {legible(packed[0])}, since only zip is read"
    elif any(name.lower() == "img_celeba" for name in entries):
        some += "; img_celeba are the uncropped photographs, not the aligned faces"
    return some


def _tables(place: Path, stem: str) -> list[Path]:
    """The files ``stem``.txt or .csv in ``place``, also as browsers number and rename copies."""
    name = _table_name(stem)
    found = [path for path in _entries(place) if name.fullmatch(path.name) and path.is_file()]
    return sorted(found, key=lambda path: (len(path.name), path.suffix.lower() != ".txt"))


def _table_name(stem: str) -> re.Pattern[str]:
    copy = r"[ _-]*(\(\d+\)|\d+|copy)"
    pattern = rf"(copy of )?{stem}({copy})*(\.txt|\.csv|\.tsv)+"
    return re.compile(pattern, re.IGNORECASE)


def _table_in_zip(path: Path, stem: str) -> Table | None:
    name = _table_name(stem)
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if name.fullmatch(member.rsplit("/", 1)[-1]) and not member.startswith("__MACOSX"):
                return read_table(path / member, archive.read(member))
    return None


def _has_pictures(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(_is_picture(entry.name) for entry in entries)


def _in_zip(path: Path, broken: list[Path]) -> Listing | None:
    """The pictures in a zip; ``None`` where there are none, and ``broken`` then names it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.rsplit("/", 1)[-1]: info for info in archive.infolist()}
    except (OSError, zipfile.BadZipFile):
        broken.append(path)
        return None
    own = PICTURES.match(path.name) is not None  # archive.zip may hold anything else
    names = _of_one_kind(n for n in members if own or NUMBERED.fullmatch(n))
    if not names:
        broken += [path] if own else []
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
    with os.scandir(path) as entries:
        sizes = {
            entry.name: entry.stat().st_size
            for entry in entries
            if _is_picture(entry.name) and entry.is_file()  # not a link to nothing
        }
    names = _of_one_kind(sizes)
    return (names, {"size": np.array([sizes[name] for name in names])}) if names else None


def _of_one_kind(names: Iterable[str]) -> list[str]:
    """Names of pictures, sorted; PNGs, the other edition, only where there are no JPEGs."""
    pictures = sorted(filter(_is_picture, names))
    return [name for name in pictures if not name.lower().endswith(".png")] or pictures


def _is_picture(name: str) -> bool:
    ending = name.lower().rpartition(".")[2]
    return ending in ("jpg", "jpeg", "png") and not name.startswith(".")  # ._000001.jpg is macOS's


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
