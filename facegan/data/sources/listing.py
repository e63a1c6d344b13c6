"""Which files of a directory tree are pictures to train on."""

import logging
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from facegan.errors import InputError
from facegan.files import legible
from facegan.pictures.sheets import SHEET

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds of listing without a word
# What Pillow only reads with the help of another program, or only recognises.
NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
# Folders of systems, network disks and archive programs, in lower case: thumbnails, bins and the
# like. Those that begin with a dot are skipped as well.
OF_SYSTEMS = re.compile(
    r"@eadir|@tmp|@recycle|@recently-snapshot|@sharebin|@sharesnap|#recycle|#snapshot|#trash"
    r"|\$recycle\.bin|\$extend|\$winreagent|\$sysreset|recycler|recycled|system volume information"
    r"|lost\+found|lost\.dir|found\.\d{3}|__macosx|__pycache__|network trash folder|temporary items"
    r"|resource\.frk|\.appledouble|~snapshot"
)
FILES_OF_SYSTEMS = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"}
# A folder that has all files of one of these sets was written by facegan.
OF_FACEGAN = (
    {"images.npy", "meta.json"},  # a store
    {".hydra"},  # a run
    {"checkpoints", "hparams.yaml"},
    {"leaderboard.csv"},  # a sweep
    {SHEET, "000000.png"},  # facegan.sample
    {SHEET, "samples.npz"},
    {"evaluation.json"},
    {"comparison.json"},
    {"scores.json", "scores.csv"},
    {"labels.csv", "prevalence.csv"},
    {"assignments.csv", "metrics.json"},
    {"predictions.csv", "predictions.png"},
)


@dataclass(frozen=True)
class Picture:
    """A picture file: ``name`` relative to the root, with ``/``; bytes; time of change in ns."""

    name: str
    size: int
    changed: int


@dataclass
class LeftOut:
    """What was found under a root beside its pictures."""

    files: Counter[str] = field(default_factory=Counter)  # by their ending
    of_systems: list[str] = field(default_factory=list)  # folders
    of_facegan: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)  # folders and files that may not be read
    broken: list[str] = field(default_factory=list)  # links to nothing

    def notes(self) -> list[str]:
        """A sentence for each kind."""
        endings = [f"{count} {ending}" for ending, count in self.files.most_common()]
        kinds = (
            ("left out files that are no pictures by their names: ", endings),
            ("not entered, as folders of systems and thumbnails are not: ", self.of_systems),
            ("not entered, since facegan made them: ", self.of_facegan),
            ("left out, since they may not be read: ", self.closed),
            ("left out, since they are links to nothing: ", self.broken),
        )
        return [f"{reason}{_some(names)}" for reason, names in kinds if names]


def endings() -> frozenset[str]:
    """Endings, such as ``.jpg``, of the formats that Pillow decodes."""
    formats = Image.registered_extensions()
    readable = {*Image.OPEN, "MPO"} - NOT_DECODED  # MPO is opened as JPEG
    return frozenset(ending for ending, name in formats.items() if name in readable)


def list_pictures(root: Path) -> tuple[list[Picture], LeftOut]:
    """Every picture in ``root`` or below it, sorted by name, and what was left out.

    A folder that is also linked to is read once: else one picture might be in two splits. A line
    in the log says after two seconds that listing takes its time. Raises InputError where ``root``
    or the disk cannot be read.
    """
    left_out = LeftOut()
    found: list[Picture] = []
    start: float | None = time.monotonic()
    for picture in _walk(root, "", endings(), set(), left_out):
        found.append(picture)
        if start is not None and time.monotonic() - start > PATIENCE:
            log.info("Listing the pictures in %s: %d so far …", root, len(found))
            start = None
    return sorted(found, key=lambda picture: picture.name), left_out


def any_picture(root: Path) -> bool:
    """Whether ``root`` has a picture in it or below, without listing all."""
    return next(_walk(root, "", endings(), set(), LeftOut()), None) is not None


def _walk(
    folder: Path, name: str, known: frozenset[str], seen: set[str], left_out: LeftOut
) -> Iterator[Picture]:
    """Pictures in ``folder``, whose ``name`` relative to the root ends in ``/``, or is empty."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except OSError as error:
        if not name or not isinstance(error, PermissionError | FileNotFoundError):
            raise InputError(_unlisted(folder, error)) from error
        if isinstance(error, PermissionError):  # else it was deleted just now
            left_out.closed.append(name)
        return
    if name and any(names <= {entry.name for entry in entries} for names in OF_FACEGAN):
        left_out.of_facegan.append(name)
        return
    folders = []
    for entry in entries:
        path = f"{name}{entry.name}"
        try:
            if entry.is_dir():
                folders.append(entry)
            elif _is_wanted(entry.name, known, left_out.files):
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    yield Picture(path, status.st_size, status.st_mtime_ns)
        except PermissionError:
            left_out.closed.append(path)
        except FileNotFoundError:
            if entry.is_symlink():  # else it was deleted just now
                left_out.broken.append(path)
        except OSError as error:
            raise InputError(_unlisted(folder / entry.name, error)) from error
    # Links last, so that a folder keeps its own name.
    for entry in sorted(folders, key=lambda entry: entry.is_symlink()):
        path = f"{name}{entry.name}/"
        if entry.name.startswith(".") or OF_SYSTEMS.fullmatch(entry.name.lower()):
            left_out.of_systems.append(path)
        else:
            yield from _walk(folder / entry.name, path, known, seen, left_out)


def _is_wanted(name: str, known: frozenset[str], left_out: Counter[str]) -> bool:
    """Whether a file is taken; those that are not are counted, unless systems put them there."""
    ending = Path(name).suffix.lower()
    if name == SHEET:
        left_out[SHEET] += 1
    elif name.startswith("."):
        if ending in known and not name.startswith("._"):  # ._a.jpg is what macOS adds to a.jpg
            left_out[f"hidden {ending}"] += 1
    elif ending in known:
        return True
    elif name.lower() not in FILES_OF_SYSTEMS:
        left_out[ending or "without an ending"] += 1
    return False


def _unlisted(path: Path, error: OSError) -> str:
    advice = "set dataset.root to a directory that you may read"
    if not isinstance(error, PermissionError):
        advice = (
            "if it is on a network disk, run the same command again, or copy the pictures to a "
            "local disk and set dataset.root to it"
        )
    return f"{path} cannot be listed ({error.strerror}): {advice}."


def _some(names: list[str]) -> str:
    return ", ".join(map(legible, names[:8])) + (
        f" and {len(names) - 8} more" if len(names) > 8 else ""
    )
