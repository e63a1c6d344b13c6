"""The packed store: a directory of uint8 rows that training reads.

    <source>-<size>px-<key>/
        images.npy      (N, C, H, W) uint8
        labels.npy      (N, L) integers; L may be 0
        splits.npy      (N,) uint8: 0 train, 1 val, 2 test
        identities.npy  (N,) int64, -1 unknown; only where the source identifies people
        meta.json       label names, the source file of each row, what was left out and why

The key is a hash of everything that determines the content: when anything of it changes, another
store is made. A store gets its name only when it is complete.
"""

import errno
import json
import logging
import os
import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from PIL import __version__ as pillow_version
from tqdm import tqdm

from facegan import __version__
from facegan.data.packing import parallel
from facegan.data.packing.source import SPLITS, STORE_FORMAT, Source
from facegan.errors import InputError
from facegan.files import DISK_FULL, alone, legible, write_npy_header

log = logging.getLogger(__name__)

SMALL = 500  # fewer pictures are decoded in this process: starting workers takes longer
BLOCK_BYTES = 8 << 20  # largest size of the rows that a process holds at a time


class Store:
    """A prepared directory, opened read-only, with its arrays and ``meta.json`` as attributes.

    Row i of every array is the same picture. ``images`` is memory-mapped; ``class_names`` are of
    the values of a label, by its name.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.meta: dict[str, Any] = json.loads((self.path / "meta.json").read_text("utf-8"))
            self.images: np.ndarray = np.load(self.path / "images.npy", mmap_mode="r")
            self.labels: np.ndarray = np.load(self.path / "labels.npy")
            self.splits: np.ndarray = np.load(self.path / "splits.npy")
            people = self.path / "identities.npy"
            self.identities: np.ndarray | None = np.load(people) if people.exists() else None
            self.names: list[str] = self.meta["names"]
            self.label_names: list[str] = self.meta["label_names"]
            self.class_names: dict[str, list[str]] = self.meta["class_names"]
            if not len(self.images) == len(self.labels) == len(self.splits) == len(self.names):
                raise ValueError("its files differ in length")
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(
                f"The prepared data in {self.path} cannot be read ({error}); "
                "delete that directory and run again to prepare it."
            ) from error

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, split: str) -> np.ndarray:
        """The rows of ``train``, ``val`` or ``test``, ascending."""
        return np.flatnonzero(self.splits == SPLITS.index(split))


def prepare(
    source: Source,
    data_dir: str | Path,
    max_bad_fraction: float = 0.01,
    processes: int | None = None,
) -> Store:
    """Open the store of ``source`` in ``data_dir``; make it first if there is none.

    Safe to call from several processes at once (one prepares, the others wait) and to kill at any
    time (an incomplete store is never opened; the next call removes it).

    Args:
        max_bad_fraction: share of pictures that may be unreadable; they are left out.
        processes: number of processes that decode; ``None``: one per usable CPU.

    Raises InputError for too many unreadable pictures, a full disk or a read-only directory.
    """
    path = Path(data_dir).expanduser().resolve() / source.directory()
    if not path.exists():
        try:
            with alone(path):
                _remove_leftovers(path)
                if not path.exists():
                    _build(source, path, max_bad_fraction, processes)
        # NotImplementedError: this file system has no locks.
        except (OSError, NotImplementedError) as error:
            raise InputError(_explain(error, source, path.parent)) from error
    return open_store(path, max_bad_fraction)


def open_store(path: Path, max_bad_fraction: float = 0.01) -> Store:
    """Open an existing store; raises InputError if more pictures are missing than allowed."""
    store = Store(path)
    # This run may allow fewer unreadable pictures than the one that made the store.
    skipped, name = store.meta["skipped"], store.meta["source"]
    _check_bad(skipped, len(store), max_bad_fraction, store.meta["origin"])
    if skipped:
        log.info(
            "%s: %d pictures could not be read when %s was made, and are not in it; if they have "
            "been repaired since, delete that directory.",
            *(name, len(skipped), path),
        )
    log.info("Data: %s, %d images, in %s", name, len(store), path)
    return store


def _remove_leftovers(path: Path) -> None:
    """Remove incomplete directories that killed processes left of this store."""
    for leftover in path.parent.glob(f".{path.name}.*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)


def _build(source: Source, path: Path, max_bad_fraction: float, processes: int | None) -> None:
    """Make the store in a directory beside ``path``, which is renamed when it is complete."""
    n, shape = len(source.names), (source.channels, source.size, source.size)
    row_bytes = int(np.prod(shape))
    free = shutil.disk_usage(path.parent).free
    if free < n * row_bytes + (16 << 20):
        raise OSError(errno.ENOSPC, f"{free / 1e9:.2f} GB are free")
    for note in source.notes:
        log.warning("%s: %s", source.name, note)
    log.info("Preparing %d pictures of %s at %d px …", n, source.name, source.size)

    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.mkdir()
    try:
        images = partial / "images.npy"
        with images.open("wb") as file:
            write_npy_header(file, (n, *shape))
            offset = file.tell()
            file.truncate(offset + n * row_bytes)
        bad = _fill(source, images, offset, shape, processes, max_bad_fraction)
        skipped = [{"name": source.names[row], "reason": bad[row]} for row in sorted(bad)]
        _check_bad(skipped, n - len(bad), max_bad_fraction, source.origin)
        if bad:
            log.warning(
                "%s: left out %d of %d pictures that cannot be read: %s (all in %s)",
                *(source.name, len(bad), n, _some(skipped), path / "meta.json"),
            )
        good = np.ones(n, bool)
        good[list(bad)] = False
        if bad:
            _compact(images, offset, shape, good)
        labels = source.labels[good]
        np.save(partial / "labels.npy", labels.astype(_smallest_type(labels)))
        np.save(partial / "splits.npy", source.splits[good].astype(np.uint8))
        if source.identities is not None:
            np.save(partial / "identities.npy", source.identities[good].astype(np.int64))
        meta = {
            "source": source.name,
            "origin": source.origin,
            "made": f"by facegan {__version__} "
            f"(store format {STORE_FORMAT}, Pillow {pillow_version})",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "images": [int(good.sum()), *shape],
            "settings": source.settings,
            "label_names": list(source.label_names),
            "class_names": source.class_names,
            "notes": list(source.notes),
            "skipped": skipped,
            "names": [name for name, kept in zip(source.names, good, strict=True) if kept],
        }
        (partial / "meta.json").write_text(json.dumps(meta, indent=1), "utf-8")
        for written in [*partial.iterdir(), partial]:
            _to_disk(written)
        partial.rename(path)
        _to_disk(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fill(
    source: Source,
    images: Path,
    offset: int,
    shape: tuple[int, int, int],
    processes: int | None,
    max_bad_fraction: float,
) -> parallel.Bad:
    """Write all pictures, return the bad ones; stops as soon as these are too many."""
    n = len(source.names)
    rows = source.chunk or min(256, max(1, BLOCK_BYTES // int(np.prod(shape))))
    chunks = [(start, min(start + rows, n)) for start in range(0, n, rows)]
    if n < SMALL or source.in_process:
        processes = 1
    writer = parallel.RowWriter(source.reader, images, offset, shape)
    bad: parallel.Bad = {}
    title = f"Preparing {source.name} at {source.size} px"
    # disable=None: no bar where there is no terminal
    with tqdm(total=n, desc=title, unit="img", disable=None) as bar:
        processes = processes or joblib.cpu_count()
        with closing(parallel.write_rows(writer, chunks, processes)) as results:
            for done, failed in results:
                bad.update(failed)
                bar.update(done)
                if len(bad) > max_bad_fraction * n:
                    break
    return bad


def _compact(images: Path, offset: int, shape: tuple[int, ...], good: np.ndarray) -> None:
    """Move the good rows together, a block at a time, and truncate the file after them."""
    row_bytes = int(np.prod(shape))
    rows, kept = max(1, BLOCK_BYTES // row_bytes), 0
    with images.open("r+b") as file:
        for start in range(0, len(good), rows):
            file.seek(offset + start * row_bytes)
            block = np.frombuffer(file.read(rows * row_bytes), np.uint8).reshape(-1, row_bytes)
            block = block[good[start : start + rows]]
            file.seek(offset + kept * row_bytes)
            file.write(block.data)
            kept += len(block)
        file.seek(0)
        write_npy_header(file, (kept, *shape))
        assert file.tell() == offset
        file.truncate(offset + kept * row_bytes)


def _check_bad(skipped: list[dict[str, str]], kept: int, allowed: float, origin: str) -> None:
    fraction = len(skipped) / max(1, kept + len(skipped))
    if skipped and (fraction > allowed or not kept):
        raise InputError(
            f"{len(skipped)} of {kept + len(skipped)} pictures in {origin} cannot be read, more "
            f"than dataset.max_bad_fraction={allowed:g} allows: {_some(skipped)}; repair or remove "
            "them, or raise that setting."
        )


def _some(skipped: list[dict[str, str]]) -> str:
    shown = ", ".join(
        f"{legible(picture['name'])} ({picture['reason']})" for picture in skipped[:5]
    )
    return shown + (f" and {len(skipped) - 5} more" if len(skipped) > 5 else "")


def _explain(error: Exception, source: Source, where: Path) -> str:
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        need = len(source.names) * source.channels * source.size**2 / 1e9
        return (
            f"Not enough disk space to prepare {source.name} in {where} ({error.strerror}): it "
            f"takes {need:.2f} GB; make room there or set data_dir to another disk."
        )
    named = getattr(error, "filename", None)
    if named and not Path(named).is_relative_to(where):
        return f"{source.name}: {named} cannot be read ({error})."
    return (
        f"Cannot prepare {source.name} in {where} ({error}); "
        "set data_dir to a directory that can be written."
    )


def _smallest_type(labels: np.ndarray) -> type:
    for dtype in (np.uint8, np.int16, np.int32):  # not uint16, which torch hardly supports
        if not labels.size or (
            labels.min() >= np.iinfo(dtype).min and labels.max() <= np.iinfo(dtype).max
        ):
            return dtype
    return np.int64


def _to_disk(path: Path) -> None:
    """Flush a file, or the entries of a directory, to disk: they then survive a power cut."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot flush directories
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
