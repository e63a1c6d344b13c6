"""MNIST (LeCun, Cortes, Burges) from its idx files, packed with gzip or not."""

import gzip
import hashlib
import logging
import socket
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from facegan.data.module import ImageDataModule
from facegan.data.packing.readers import DigitReader
from facegan.data.packing.source import Source
from facegan.errors import InputError, expect, expect_one_of

log = logging.getLogger(__name__)

VAL = 5_000  # the official 60,000 to train on end with these; the official test set is the test set


class MNIST(ImageDataModule):
    """Handwritten digits: 55,000 train, 5,000 val, 10,000 test; label ``digit`` 0 to 9; grey.

    ``root`` is torchvision's (``root/MNIST/raw/*``), or the folder with the idx files itself.
    Files are believed when they are complete and well-formed, whatever their checksum. At 28 px
    the digits are as they are; else they are padded to 32 with black and resized from there.
    Never mirrored: most digits would be none.

    Args:
        root: where MNIST is, or is downloaded to; ``None``: ``data_dir/mnist``.
        **common: see :class:`ImageDataModule`.
    """

    CHANNELS = (1,)

    def __init__(
        self,
        name: str = "mnist",
        root: str | None = None,
        image_size: int = 32,
        channels: int = 1,
        **common: Any,
    ) -> None:
        expect_one_of("dataset.image_size of MNIST", image_size, (28, 32, 64))
        super().__init__(name, image_size=image_size, channels=channels, **common)
        expect(not self.flip, "dataset.flip must be false for MNIST: a mirrored digit is none.")
        self.root = self.expect_root(root, "mnist")

    def source(self) -> Source:
        raw = _find(self.root)
        if raw is None:
            _download(self.root)
            raw = _find(self.root)
        expect(raw is not None, f"MNIST is still not in {self.root} after downloading it there.")
        assert raw is not None

        train, train_digits = _part(raw, "train")
        test, test_digits = _part(raw, "t10k")
        pixels = np.concatenate([train, test])
        splits = np.full(len(pixels), 2, np.uint8)
        splits[: len(train)] = 1
        splits[: max(1, len(train) - VAL)] = 0
        return Source(
            name=self.name,
            size=self.image_size,
            channels=1,
            reader=DigitReader(pixels, self.image_size),
            names=[f"train-{i:05d}" for i in range(len(train))]
            + [f"t10k-{i:05d}" for i in range(len(test))],
            labels=np.concatenate([train_digits, test_digits])[:, None],
            label_names=["digit"],
            splits=splits,
            settings={"pixels": hashlib.sha256(pixels.tobytes()).hexdigest()},
            origin=str(raw),
            in_process=True,  # the digits are here already; sending them out takes longer
        )


def _find(root: Path) -> Path | None:
    """The directory with all four idx files, at or under ``root``."""
    for raw in (root, root / "raw", root / "MNIST" / "raw", root / "mnist" / "MNIST" / "raw"):
        try:
            for part in ("train", "t10k"):
                _file(raw, f"{part}-images-idx3-ubyte")
                _file(raw, f"{part}-labels-idx1-ubyte")
        except FileNotFoundError:
            continue
        return raw
    return None


def _file(raw: Path, stem: str) -> Path:
    # Some copies have a dot before idx.
    for name in (stem, f"{stem}.gz", stem.replace("-idx", ".idx")):
        if (raw / name).is_file():
            return raw / name
    raise FileNotFoundError(raw / stem)


def _download(root: Path) -> None:
    from torchvision import datasets  # here, so that nobody else waits for torchvision

    log.info("MNIST is not in %s: downloading it there (11 MB) …", root)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # seconds; without, a network that swallows packets hangs us
    try:
        datasets.MNIST(str(root), download=True)
    except Exception as error:  # urllib's, torchvision's and the system's own kinds
        raise InputError(
            f"MNIST is neither in {root} nor could it be downloaded ({error}); get its four idx "
            f"files (train-images-idx3-ubyte.gz …) and put them in {root / 'MNIST' / 'raw'}, or "
            "set dataset.root to where they are."
        ) from error
    finally:
        socket.setdefaulttimeout(patience)


def _part(raw: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 28, 28) uint8 and digits (n,) of ``train`` or ``t10k``."""
    images_at = _file(raw, f"{part}-images-idx3-ubyte")
    digits_at = _file(raw, f"{part}-labels-idx1-ubyte")
    images, digits = _idx(images_at, 3), _idx(digits_at, 1)
    expect(
        images.shape[1:] == (28, 28) and len(images) > 0,
        f"{images_at} holds {images.shape}, not images of 28 x 28 pixels; download it again.",
    )
    expect(
        len(digits) == len(images) and digits.max() <= 9,
        f"{digits_at} must hold a digit for each of the {len(images)} images of "
        f"{images_at.name}; download both again.",
    )
    return images, digits


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """An idx file of unsigned bytes (http://yann.lecun.com/exdb/mnist), packed or not."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be unpacked ({error}); download it again.") from error
    header = 4 + 4 * dimensions
    expect(
        len(data) >= header and data[:4] == bytes((0, 0, 8, dimensions)),
        f"{path} is no idx file of unsigned bytes in {dimensions} dimensions; download it again.",
    )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    expect(
        len(data) == header + int(np.prod(shape)),
        f"{path} has {len(data) - header} bytes after its header, not the {int(np.prod(shape))} "
        "it announces; download it again.",
    )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
