"""Pictures of more than 8 bits: which of their values is black, and which is white.

Their files seldom say: 12 bits of a camera come in 16, and floating-point values in any unit. It is
decided for all pictures of a data set together, so that they keep their relative brightness.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facegan.errors import InputError

EIGHT_BIT = (b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"8BPS", b"qoif")  # JPEG, GIF, WebP …
WHITE = (1, 255, 1023, 4095, 16383, 65535)  # the usual ones: 1, 8, 10, 12, 14 and 16 bits
SCALED = {"JPEG2000", "PPM"}  # say how many bits they have, and Pillow makes 16 of them
Range = tuple[float, float]  # the values of black and white


@dataclass(frozen=True)
class Extent:
    """The smallest and largest value of a picture of a ``kind``: integer, float or colour."""

    kind: str
    low: float
    high: float


def kind_of(image: Image.Image) -> str | None:
    """``integer``, ``float``, ``colour`` (cut to 8 bits by Pillow); ``None``: 8 bits or fewer."""
    if image.mode.startswith("I"):
        return "integer"
    if image.mode == "F":
        return "float"
    return "colour" if is_cut(image) else None


def is_cut(image: Image.Image) -> bool:
    """Whether Pillow keeps only the high bytes of a picture that has 16 bits a channel."""
    layouts = [tile[3] for tile in getattr(image, "tile", ())]
    names = [layout if isinstance(layout, str) else (layout or ("",))[0] for layout in layouts]
    return any(isinstance(name, str) and ";16" in name for name in names)


def may_be_deep(head: bytes) -> bool:
    """Whether a file that begins with ``head`` can have more than 8 bits a channel."""
    if head.startswith(b"\x89PNG"):
        return len(head) > 24 and head[24] == 16
    return not head.startswith(EIGHT_BIT)


def extent(path: Path) -> Extent | None:
    """The values in a picture; ``None`` if it has no more than 8 bits, or cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                kind = kind_of(image)
                if kind is None:
                    return None
                values = np.asarray(image)
    except Exception:  # the reader names it among the unreadable
        return None
    values = values[np.isfinite(values)] if kind == "float" else values
    if not values.size:
        return None
    if image.format in SCALED:
        return Extent(kind, 0, WHITE[-1])
    return Extent(kind, float(values.min()), float(values.max()))


def white_point(kind: str, extents: Sequence[Extent], where: str) -> tuple[Range | None, str]:
    """Black and white of all pictures of a kind, and a sentence about it; ``None``: as usual.

    Raises InputError where pictures have been cut to their high bytes, and these are empty.
    """
    low, high = min(e.low for e in extents), max(e.high for e in extents)
    count = len(extents)
    if kind == "colour":
        if 0 < high < 64:  # 14 bits or fewer; a dark data set of 16 bits would hardly stay below
            raise InputError(
                f"{count} pictures in {where} have colours of 16 bits of which only the lowest are "
                f"used (the largest value is below {int(high + 1) * 256}), and Pillow reads the "
                "highest 8: convert them to 8 bits."
            )
        return None, ""
    usual = [value for value in WHITE if high <= value]
    if low >= 0 and usual and high > usual[0] / 4:
        black, white = 0.0, float(usual[0])
    elif kind == "float" and -1 <= low < 0 and 0.25 < max(-low, high) <= 1:
        black, white = -1.0, 1.0
    elif kind == "integer" and -32768 <= low < 0 and 8192 < max(-low, high) <= 32768:
        black, white = -32768.0, 32767.0
    else:
        black, white = min(low, 0.0), high if high > min(low, 0.0) else 1.0
    if kind == "integer" and (black, white) == (0, WHITE[-1]):
        return None, ""  # all 16 bits
    what = "integers of more than 8 bits" if kind == "integer" else "floating-point numbers"
    return (black, white), (
        f"{count} pictures hold {what}, from {low:g} to {high:g}: {black:g} becomes black and "
        f"{white:g} white in all of them"
    )
