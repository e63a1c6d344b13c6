"""Pictures of more than 8 bits: black and white are decided for all of a data set, and said."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegan.data.packing.ranges import Extent, extent, white_point
from facegan.data.sources.folder import Folder
from facegan.errors import InputError

RAMP = np.tile(np.arange(0, 256, 8), (32, 1))  # 0 to 248, from left to right


def store_of(root: Path, **pictures: np.ndarray | Image.Image) -> np.ndarray:
    """Rows (N, 32, 32) of grey pictures by name; ``a_png`` is the file ``a.png``."""
    root.mkdir(exist_ok=True)
    for name, values in pictures.items():
        image = values if isinstance(values, Image.Image) else Image.fromarray(values)
        image.save(root / name.replace("_", "."))
    keys = {"data_dir": str(root.parent / "stores"), "image_size": 32, "batch_size": 1}
    return Folder(root=str(root), channels=1, **keys).store.images[:, 0]


SCALES = {
    "float in 0 to 1": (RAMP / 255).astype(np.float32),
    "float in -1 to 1": (RAMP / 127.5 - 1).astype(np.float32),
    "float in 0 to 255": RAMP.astype(np.float32),
    "float in 0 to 65535": (RAMP * 257).astype(np.float32),
    "int32 in 0 to 255": RAMP.astype(np.int32),
    "int32 in 0 to 65535": (RAMP * 257).astype(np.int32),
    "10 bits in 16": (RAMP * 4).astype(np.uint16),
    "12 bits in 16": (RAMP * 16).astype(np.uint16),
    "14 bits in 16": (RAMP * 64).astype(np.uint16),
    "16 bits": (RAMP * 257).astype(np.uint16),
    "8 bits": RAMP.astype(np.uint8),
}

UNSAID = ("8 bits", "16 bits", "int32 in 0 to 65535")


@pytest.mark.parametrize("kind", SCALES)
def test_the_usual_ranges_come_out_as_8_bits(tmp_path, kind, caplog):
    with caplog.at_level(logging.WARNING):
        (row,) = store_of(tmp_path / "x", a_tif=SCALES[kind])
    assert np.abs(row.astype(int) - RAMP).max() <= 1
    assert ("becomes black" in caplog.text) == (kind not in UNSAID)


@pytest.mark.parametrize("high", [2.5, 1e6, 0.01])
def test_an_unusual_range_is_black_to_white_as_a_whole(tmp_path, high, caplog):
    (row,) = store_of(tmp_path / "x", a_tif=(RAMP / 248 * high).astype(np.float32))
    assert (row.min(), row.max()) == (0, 255)
    assert f"from 0 to {high:g}" in caplog.text


def test_relative_brightness_within_a_data_set_is_kept(tmp_path):
    dark, light = store_of(
        tmp_path / "x",
        dark_tif=(RAMP * 4).astype(np.uint16),
        light_tif=(RAMP * 16).astype(np.uint16),
    )
    assert np.abs(dark * 4.0 - light).max() <= 4


def test_files_that_say_how_many_bits_they_have_are_believed(tmp_path):
    (tmp_path / "x").mkdir()
    values = (RAMP * 4).astype(">u2")  # a dark picture of 4095 levels
    (tmp_path / "x" / "a.pgm").write_bytes(b"P5 32 32 4095\n" + values.tobytes())
    (row,) = store_of(tmp_path / "x")
    assert np.abs(row - RAMP / 4).max() <= 1


def test_holes_in_floating_point_pictures_are_black(tmp_path):
    values = (RAMP / 255).astype(np.float32)
    values[:, :4] = np.nan
    values[:, -4:] = np.inf
    (row,) = store_of(tmp_path / "x", a_tif=values)
    assert row[:, :3].max() == 0
    assert row[:, -3:].min() == 255
    assert np.abs(row[:, 6:24] - RAMP[:, 6:24]).max() <= 1


def test_a_transparent_value_of_16_bits_becomes_white(tmp_path):
    values = (RAMP * 257).astype(np.uint16)
    values[:, :16] = 7
    (tmp_path / "x").mkdir()
    Image.fromarray(values).save(tmp_path / "x" / "a.png", transparency=7)
    (row,) = store_of(tmp_path / "x")
    assert row[:, :14].min() == 255
    assert np.abs(row[:, 20:] - RAMP[:, 20:]).max() <= 2


def colours_of_16_bits(path: Path, values: np.ndarray) -> None:
    """A PNG of 16 bits a channel (H, W, 3), which Pillow reads but does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))


def test_colours_of_16_bits_are_read_or_refused_by_name(tmp_path):
    colours = np.repeat(RAMP[:, :, None], 3, 2)
    (tmp_path / "x").mkdir()
    colours_of_16_bits(tmp_path / "x" / "a.png", colours * 257)
    (row,) = store_of(tmp_path / "x")
    assert np.abs(row - RAMP).max() <= 1
    colours_of_16_bits(tmp_path / "x" / "a.png", colours * 16)
    with pytest.raises(InputError, match=r"only the lowest .*convert them to 8 bits"):
        store_of(tmp_path / "x")


def test_damaged_pictures_do_not_end_the_look_at_ranges(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(SCALES["12 bits in 16"]).save(path)
    assert extent(path) == Extent("integer", 0, 248 * 16)
    path.write_bytes(path.read_bytes()[:100])
    assert extent(path) is None


number = st.floats(-1e9, 1e9, width=32)


@given(st.sampled_from(["integer", "float"]), st.lists(st.tuples(number, number), min_size=1))
def test_every_value_lies_between_black_and_white(kind, pairs):
    if kind == "integer":
        pairs = [(int(a), int(b)) for a, b in pairs]
    extents = [Extent(kind, min(pair), max(pair)) for pair in pairs]
    chosen, note = white_point(kind, extents, "here")
    black, white = chosen or (0, 65535)
    assert black < white
    assert black <= min(e.low for e in extents)
    assert white >= max(e.high for e in extents)
    assert bool(note) == (chosen is not None)
