"""Decoding of picture files to rows of pixels, in worker processes.

Imports no torch, so that a worker starts in a fraction of a second.
"""

import contextlib
import errno
import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from facegan.data.packing.parallel import Bad
from facegan.data.packing.ranges import Range, is_cut

# Pillow widens its kernels when it shrinks (antialiasing); Lanczos looks the same and is slower.
BICUBIC = Image.Resampling.BICUBIC
# Errors of the system, not of the picture: it must not be left out of the store.
TRANSIENT = {
    errno.EACCES,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
# Profiles and texts that editors and generators of images put into PNGs: Pillow's limits, 1 MB each
# and 64 MB together, take the picture for unreadable.
PNG_CHUNK, PNG_CHUNKS = 128 << 20, 512 << 20
BLACK_AND_WHITE: dict[str, Range] = {"integer": (0, 65535), "float": (0, 1)}
UPRIGHT = {  # EXIF orientation -> the transposition that undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Files(Protocol):
    """Picture files by their index."""

    def open(self, index: int) -> IO[bytes]:
        """The bytes of one picture file."""
        ...

    def where(self, index: int) -> str:
        """The path of the file that holds them."""
        ...

    def close(self) -> None:
        """Close what stays open between pictures; they can be opened again."""
        ...


@dataclass(frozen=True)
class FolderFiles:
    """Picture files by their names relative to a directory."""

    root: Path
    names: Sequence[str]

    def open(self, index: int) -> IO[bytes]:
        return Path(self.where(index)).open("rb")

    def where(self, index: int) -> str:
        return str(self.root / self.names[index])

    def close(self) -> None:
        pass  # every picture is a file of its own


class ZipFiles:
    """Picture files inside a zip, read at the offsets that its directory gives.

    Not through ``zipfile``: with 200,000 members that takes two seconds and 120 MB in every worker.
    ``columns`` are arrays of equal length from the zip's directory (see ``celeba_files.py``).
    """

    def __init__(self, path: Path, columns: dict[str, np.ndarray]) -> None:
        self.path, self.columns = path, columns
        self._file: IO[bytes] | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_file": None}

    def where(self, index: int) -> str:
        return str(self.path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def open(self, index: int) -> IO[bytes]:
        if self._file is None:
            self._file = self.path.open("rb")
        offset, packed, method, crc = (
            int(self.columns[name][index]) for name in ("offset", "packed", "method", "crc")
        )
        self._file.seek(offset)
        header = self._file.read(30)  # the member's own header repeats its name, then extras
        if header[:4] != b"PK\3\4":
            raise OSError("the zip's directory points to something else")
        self._file.seek(sum(struct.unpack("<HH", header[26:30])), io.SEEK_CUR)
        data = self._file.read(packed)
        if method == 8:  # deflated; 0 is stored
            data = zlib.decompress(data, -15)
        elif method != 0:
            raise OSError(f"compression method {method} of zip is not supported")
        if zlib.crc32(data) != crc:
            raise OSError("damaged in the zip (checksum differs)")
        return io.BytesIO(data)


@dataclass(frozen=True)
class PictureReader:
    """Decodes picture files: centre crop, antialiased resize, (channels, size, size) uint8.

    ``white``: values of black and white in pictures of more than 8 bits, for ``integer`` and
    ``float``; see :mod:`facegan.data.packing.ranges`.
    """

    files: Files
    size: int
    channels: int
    crop: int | None  # side of the centre square in pixels; None: the picture's shorter side
    white: Mapping[str, Range] = field(default_factory=dict)

    def fill(self, out: np.ndarray, start: int) -> Bad:
        bad: Bad = {}
        with contextlib.closing(self.files), _large_chunks(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd but readable metadata
            # Above this Pillow only warns at first, and a wrong header can cost gigabytes.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            for i in range(len(out)):
                try:
                    with self.files.open(start + i) as file:
                        out[i] = decode(file, self.size, self.channels, self.crop, self.white)
                except Exception as error:  # Pillow raises a dozen kinds on broken files
                    if isinstance(error, OSError) and error.errno in TRANSIENT:
                        where = self.files.where(start + i)
                        raise OSError(error.errno, error.strerror, where) from error
                    bad[start + i] = f"{type(error).__name__}: {error}"[:200]
        return bad


@contextlib.contextmanager
def _large_chunks() -> Iterator[None]:
    before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = PNG_CHUNK, PNG_CHUNKS
    try:
        yield
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = before


def decode(
    file: IO[bytes],
    size: int,
    channels: int,
    crop: int | None,
    white: Mapping[str, Range] | None = None,
) -> np.ndarray:
    """One picture as (channels, size, size) uint8.

    JPEGs are decoded at 1/2, 1/4 or 1/8 when that still leaves ``size`` pixels in the crop
    (libjpeg does it four times as fast as decoding all and looks as good). Transparency is laid
    over white.
    """
    with Image.open(file) as image:
        side = min(image.width, image.height, crop or image.width)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        scale = 1.0
        if image.format == "JPEG":
            width = image.width
            wanted = (-(-image.width * size // side), -(-image.height * size // side))
            drafted = image.draft("L" if channels == 1 else "RGB", wanted)
            if drafted is not None:
                scale = drafted[1][2] / width  # in scaled pixels the box may be fractional
        box = (left * scale, top * scale, (left + side) * scale, (top + side) * scale)
        square = _eight_bit(image, BLACK_AND_WHITE | dict(white or {})).resize(
            (size, size), BICUBIC, box=box, reducing_gap=3.0
        )
        # The centre square of a turned picture is the turned centre square, and is smaller.
        turn = UPRIGHT.get(_orientation(image))
        square = square if turn is None else square.transpose(turn)
        if square.mode == "RGBA":
            square = Image.alpha_composite(Image.new("RGBA", square.size, "white"), square)
        mode = "L" if channels == 1 else "RGB"
        pixels = np.asarray(square if square.mode == mode else square.convert(mode))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where the metadata are damaged."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a dozen kinds, as for broken files
        return 1


def _eight_bit(image: Image.Image, white: Mapping[str, Range]) -> Image.Image:
    """``image`` as L, RGB or RGBA, the modes that can be resized smoothly."""
    if image.mode == "F" or image.mode.startswith("I"):  # scaled, where Pillow's convert would clip
        return _scaled(image, *white["float" if image.mode == "F" else "integer"])
    transparent = image.info.get("transparency")
    if isinstance(transparent, tuple) and is_cut(image):  # a colour of 16 bits, and pixels of 8
        image.load()
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "La":  # premultiplied
        return image.convert("LA").convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _scaled(image: Image.Image, black: float, white: float) -> Image.Image:
    """Values of one channel as 8 bits; a value that marks transparent pixels becomes white."""
    values = np.asarray(image).astype(np.float64)
    scaled = (np.nan_to_num(values, nan=black) - black) * (255 / max(white - black, 1e-30))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        scaled[values == transparent] = 255
    return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))
