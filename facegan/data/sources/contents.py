"""What identifies the bytes of picture files, and the range of values deeper than 8 bits."""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from facegan.data.packing.ranges import Extent, extent, may_be_deep, white_point
from facegan.data.sources.listing import PATIENCE, Picture
from facegan.errors import InputError

log = logging.getLogger(__name__)

PLACES, BLOCK = 4, 4096  # how much of a large file is read to recognise it
THREADS = 16  # reads wait for the disk, not for the processor
AT_ONCE = 1024  # files that are handed to the threads together


@dataclass
class Content:
    """What was found in picture files.

    Attributes:
        of: for each file its size in bytes and a hash of some of its bytes.
        white: see :class:`facegan.data.packing.readers.PictureReader`.
        notes: sentences about what was decided.
    """

    of: list[tuple[int, str]]
    white: dict[str, tuple[float, float]]
    notes: list[str] = field(default_factory=list)


def digest(value: Any) -> str:
    """A hash of a JSON value."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def described(root: Path, pictures: Sequence[Picture]) -> Content:
    """Read some bytes of every picture under ``root``, and the deep ones as a whole.

    A copy of the same files gives the same. Raises InputError for pictures whose range of values
    cannot be known, and OSError where a file cannot be read.
    """
    of: list[tuple[int, str]] = []
    deep: dict[str, list[Extent]] = {}
    start: float | None = time.monotonic()
    paths = ((root / picture.name, picture.size) for picture in pictures)
    for key, found in _in_threads(paths):
        of.append(key)
        if found is not None:
            deep.setdefault(found.kind, []).append(found)
        if start is not None and time.monotonic() - start > PATIENCE:
            log.info("Looking at the pictures in %s: %d of %d …", root, len(of), len(pictures))
            start = None
    white, notes = {}, []
    for kind, extents in sorted(deep.items()):
        white[kind], note = white_point(kind, extents, str(root))
        notes += [note] if note else []
    return Content(of, {kind: range_ for kind, range_ in white.items() if range_}, notes)


def _in_threads(
    files: Iterable[tuple[Path, int]],
) -> Iterator[tuple[tuple[int, str], Extent | None]]:
    files = iter(files)
    with ThreadPoolExecutor(THREADS) as pool:
        while some := list(islice(files, AT_ONCE)):
            yield from pool.map(_described, some)


def _described(file: tuple[Path, int]) -> tuple[tuple[int, str], Extent | None]:
    path, size = file
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as opened:
            head = opened.read(BLOCK * PLACES if size <= BLOCK * PLACES else BLOCK)
            hashed.update(head)
            if size > BLOCK * PLACES:
                for place in np.linspace(0, size - BLOCK, PLACES)[1:]:
                    opened.seek(int(place))
                    hashed.update(opened.read(BLOCK))
    except FileNotFoundError:
        return (size, "gone"), None  # the reader names it among the unreadable
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): make it readable, or remove it; if it is "
            "on a network disk, run the same command again, or copy the pictures to a local disk."
        ) from error
    found = extent(path) if may_be_deep(head) else None
    return (size, hashed.hexdigest()[:16]), found
