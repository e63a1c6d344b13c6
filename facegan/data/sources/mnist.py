"""MNIST (LeCun, Cortes, Burges) from its idx files, packed with gzip or not."""

import contextlib
import gzip
import hashlib
import logging
import socket
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torchvision import datasets

from facegan.data.module import ImageDataModule
from facegan.data.packing.parallel import Bad
from facegan.data.packing.readers import BICUBIC
from facegan.data.packing.source import Source
from facegan.data.settings import STACKED, MNISTSettings
from facegan.errors import InputError

log = logging.getLogger(__name__)

CHANNEL_NAMES = ("red", "green", "blue")
VAL = 5_000  # the last of the official 60,000 training digits; test is the official test set


class MNIST(ImageDataModule):
    """Handwritten digits: 55,000 train, 5,000 val, 10,000 test; label ``digit`` 0 to 9; grey.

    ``root`` is torchvision's (``root/MNIST/raw/*``), or the folder with the idx files itself.
    Any complete and well-formed files are accepted, whatever their checksum. At 28 px the digits
    are unchanged; else they are padded to 32 with black and resized from there. Never mirrored:
    mirrored digits are not digits.

    ``stacked=True`` is Stacked MNIST (Metz et al. 2017, arXiv:1611.02163): three digits as the
    channels of an image, whose 1,000 combinations are the modes that a generator may miss; labels
    ``digit_red``, ``digit_green`` and ``digit_blue``. There are as many images as digits in each
    part, made of the digits of that part, each of which is once in every channel.
    """

    settings_class, directory, shaped_by = MNISTSettings, "mnist", ("image_size",)

    def content(self) -> dict[str, Any] | None:
        content = super().content()
        # Left out where it is false: stores of earlier versions are found by the same content.
        return {**(content or {}), "stacked": True} if self.settings.stacked else content

    def unstacked(self) -> "MNIST | None":
        if not self.settings.stacked:
            return None
        plain = self.settings.model_dump(exclude={"stacked", "channels", "name"})
        return MNIST(**plain)

    def is_found(self) -> bool:
        return _find(self.root) is not None

    def fingerprint(self) -> list[Any] | None:
        raw = _find(self.root.absolute())
        if raw is None:
            return None
        stats = [(path, path.stat()) for path in _files(raw)]
        return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]

    def source(self) -> Source:
        root = self.root
        raw = _find(root)
        if raw is None:
            _download(root)
            raw = _find(root)
        if raw is None:
            raise InputError(f"MNIST is still not in {root} after downloading it there.")
        train, train_digits = _part(raw, "train")
        test, test_digits = _part(raw, "t10k")
        pixels = np.concatenate([train, test])
        splits = np.full(len(pixels), 2, np.uint8)
        splits[: len(train)] = 1
        splits[: max(1, len(train) - VAL)] = 0
        # Row i of a store is made of these digits, one per channel.
        digits = _stacks(splits) if self.settings.stacked else np.arange(len(pixels))[:, None]
        names = [f"train-{i:05d}" for i in range(len(train))]
        names += [f"t10k-{i:05d}" for i in range(len(test))]
        label_names = [f"digit_{name}" for name in CHANNEL_NAMES]
        return Source(
            name=self.name,
            size=self.image_size,
            channels=self.channels,
            reader=DigitReader(pixels, digits, self.image_size),
            names=["+".join(names[digit] for digit in row) for row in digits],
            labels=np.concatenate([train_digits, test_digits])[digits],
            label_names=label_names if self.settings.stacked else ["digit"],
            splits=splits,
            settings={"pixels": hashlib.sha256(pixels.tobytes()).hexdigest()},
            origin=str(raw),
            in_process=True,  # sending the digits to workers takes longer
        )


@dataclass(frozen=True)
class DigitReader:
    """MNIST's digits at ``size``: unchanged at 28, else padded to 32 first.

    Attributes:
        pixels: of the digits (D, 28, 28) uint8.
        rows: the digit that is each channel of an image (N, channels).
    """

    pixels: np.ndarray
    rows: np.ndarray
    size: int

    def fill(self, out: np.ndarray, start: int) -> Bad:
        digits = self.pixels[self.rows[start : start + len(out)]]
        if self.size != 28:
            digits = np.pad(digits, ((0, 0), (0, 0), (2, 2), (2, 2)))
        if self.size not in (28, 32):
            # Resizing is linear: what it does to the columns of an identity, it does to all.
            identity = Image.fromarray(np.eye(32, dtype=np.float32))
            resize = np.asarray(identity.resize((32, self.size), BICUBIC))
            digits = np.clip(resize @ digits.astype(np.float32) @ resize.T + 0.5, 0, 255)
        out[:] = digits
        return {}


def _stacks(splits: np.ndarray) -> np.ndarray:
    """The digits in each stack (N, 3): those of a part are shuffled anew for every channel."""
    digits = np.empty((len(splits), STACKED), np.int64)
    rng = np.random.default_rng(0)  # of the data, not of a run: all runs see the same stacks
    for split in np.unique(splits):
        rows = np.flatnonzero(splits == split)
        digits[rows] = np.stack([rng.permutation(rows) for _ in range(STACKED)], 1)
    return digits


def _find(root: Path) -> Path | None:
    """The directory with all four idx files, at or under ``root``."""
    for raw in (root, root / "raw", root / "MNIST" / "raw", root / "mnist" / "MNIST" / "raw"):
        with contextlib.suppress(FileNotFoundError):
            _files(raw)
            return raw
    return None


def _files(raw: Path) -> list[Path]:
    """The four idx files in ``raw``; raises FileNotFoundError where one is missing."""
    kinds = ("images-idx3", "labels-idx1")
    return [_file(raw, f"{part}-{kind}-ubyte") for part in ("train", "t10k") for kind in kinds]


def _file(raw: Path, stem: str) -> Path:
    # Some copies have a dot before idx.
    for name in (stem, f"{stem}.gz", stem.replace("-idx", ".idx")):
        if (raw / name).is_file():
            return raw / name
    raise FileNotFoundError(raw / stem)


def _download(root: Path) -> None:
    log.info("MNIST is not in %s: downloading it there (11 MB) …", root)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # seconds; a network that drops packets would block forever
    try:
        datasets.MNIST(str(root), download=True)
    except Exception as error:  # urllib's, torchvision's and the system's own kinds
        raise InputError(
            f"MNIST is neither in {root} nor could it be downloaded ({error}); get its four idx "
            f"files (train-images-idx3-ubyte.gz …) and put them in {root / 'MNIST' / 'raw'}, or "
            "set dataset.root to where they are."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def _part(raw: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 28, 28) uint8 and digits (n,) of ``train`` or ``t10k``."""
    images_path = _file(raw, f"{part}-images-idx3-ubyte")
    digits_path = _file(raw, f"{part}-labels-idx1-ubyte")
    images, digits = _read_idx(images_path, 3), _read_idx(digits_path, 1)
    if images.shape[1:] != (28, 28) or not len(images):
        raise InputError(
            f"{images_path} holds {images.shape}, not images of 28 x 28 pixels; download it again."
        )
    if len(digits) != len(images) or digits.max() > 9:
        raise InputError(
            f"{digits_path} must hold a digit for each of the {len(images)} images of "
            f"{images_path.name}; download both again."
        )
    return images, digits


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """An idx file of unsigned bytes (http://yann.lecun.com/exdb/mnist), gzipped or not."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be unpacked ({error}); download it again.") from error
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes((0, 0, 8, dimensions)):
        raise InputError(
            f"{path} is not an idx file of unsigned bytes in {dimensions} dimensions; download it "
            "again."
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    if len(data) != header + int(np.prod(shape)):
        raise InputError(
            f"{path} has {len(data) - header} bytes after its header, not the "
            f"{int(np.prod(shape))} it announces; download it again."
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
