"""Decoding: every kind of picture people have, in the right place and the right colours."""

import errno
import functools
import io
import warnings
from typing import IO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin
from PIL.PngImagePlugin import PngInfo

from facegan.data.packing.readers import FolderFiles, PictureReader, decode
from tests.data.fakes import smooth_picture


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def halves(left: object, right: object, mode: str = "RGB", size: int = 64) -> Image.Image:
    image = Image.new(mode, (size, size), left)
    image.paste(right, (size // 2, 0, size, size))
    return image


def colours(pixels: np.ndarray) -> tuple[list[int], list[int]]:
    """The colours in the middle of the left and of the right half."""
    middle, quarter = pixels.shape[1] // 2, pixels.shape[2] // 4
    return pixels[:, middle, quarter].tolist(), pixels[:, middle, -quarter].tolist()


RED, BLUE, WHITE = [255, 0, 0], [0, 0, 255], [255, 255, 255]


def palette(transparent: bool) -> io.BytesIO:
    image = halves(0, 1, "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    return encode(image, **({"transparency": 1} if transparent else {}))


KINDS = {
    "rgb": (encode(halves("red", "blue")), RED, BLUE),
    "bmp": (encode(halves("red", "blue"), "BMP"), RED, BLUE),
    "webp": (encode(halves("red", "blue"), "WEBP", lossless=True), RED, BLUE),
    "rgba": (encode(halves((255, 0, 0, 255), (0, 0, 255, 0), "RGBA")), RED, WHITE),
    "half transparent": (encode(halves("red", (0, 0, 0, 128), "RGBA")), RED, [127] * 3),
    "rgb, one transparent": (encode(halves("red", "blue"), transparency=(0, 0, 255)), RED, WHITE),
    "palette": (palette(transparent=False), RED, BLUE),
    "palette, one transparent": (palette(transparent=True), RED, WHITE),
    "grey": (encode(halves(0, 200, "L")), [0] * 3, [200] * 3),
    "grey and alpha": (encode(halves((0, 255), (0, 0), "LA")), [0] * 3, WHITE),
    "1 bit": (encode(halves(0, 1, "1")), [0] * 3, WHITE),
    "16 bit": (encode(halves(0, 65535, "I;16")), [0] * 3, WHITE),
    "16 bit, dark": (encode(halves(257 * 3, 257 * 100, "I;16")), [3] * 3, [100] * 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_mode_has_its_colours(kind):
    file, left, right = KINDS[kind]
    pixels = decode(file, 16, 3, None)
    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.uint8
    assert colours(pixels) == (left, right)


RAMP = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (48, 1))
MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB",
         "HSV", "I", "F", "I;16", "I;16B"]  # fmt: skip
FORMATS = ["BMP", "DDS", "DIB", "GIF", "ICO", "IM", "JPEG", "JPEG2000", "MSP", "PCX", "PNG", "PPM",
           "SGI", "TGA", "TIFF", "WEBP", "XBM", "QOI", "AVIF", "BLP"]  # fmt: skip


def in_mode(mode: str) -> Image.Image:
    """A ramp from black to white in ``mode``."""
    grey = Image.fromarray(RAMP)
    if mode == "F":
        return Image.fromarray(RAMP.astype(np.float32) / 255)
    if mode.startswith("I"):
        return Image.fromarray(RAMP.astype(np.int32) * 257).convert(mode)
    if mode in ("P", "PA"):
        indexed = grey.convert("P")
        return indexed if mode == "P" else indexed.convert("PA")
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(grey.convert("RGB"), *profiles, outputMode="LAB")
    if mode in ("La", "RGBa"):
        return grey.convert("LA" if mode == "La" else "RGBA").convert(mode)
    return grey.convert("RGB").convert(mode)


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_comes_out_in_its_range_from_every_format_that_holds_it(mode):
    held = 0
    for kind in FORMATS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                file = encode(in_mode(mode), kind)
                written = Image.open(file)
            except (OSError, ValueError, KeyError):
                continue  # this format does not hold the mode
        if written.mode != mode:  # changed by the writer: not a matter of reading
            continue
        held += 1
        for channels in (1, 3):
            file.seek(0)
            pixels = decode(file, 48, channels, None).astype(float)
            assert pixels.shape == (channels, 48, 48)
            if mode != "1":  # dithered
                assert np.abs(pixels - RAMP).mean() < 4, (mode, kind)
            assert pixels[:, :, :4].mean() < 32, (mode, kind)
            assert pixels[:, :, -4:].mean() > 223, (mode, kind)
    assert held or mode in ("La", "RGBX", "RGBa", "HSV", "I;16B"), f"no format tried holds {mode}"


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(FORMATS),
    st.binary(max_size=64),
    st.floats(0, 1),
    st.sampled_from([1, 3]),
)
def test_a_damaged_picture_is_read_or_named(kind, noise, place, channels):
    """Bytes overwritten anywhere: the reader returns pixels or a reason, and never raises."""
    data = bytearray(damaged_originals()[kind])
    at = int(place * len(data))
    data[at : at + len(noise)] = noise
    pixels = np.zeros((1, channels, 16, 16), np.uint8)
    bad = PictureReader(InMemory(bytes(data)), 16, channels, None).fill(pixels, 0)
    assert set(bad) <= {0}
    assert all(bad.values())


class InMemory:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self, index: int) -> IO[bytes]:
        return io.BytesIO(self.data)

    def where(self, index: int) -> str:
        return "in memory"

    def close(self) -> None: ...


@functools.cache
def damaged_originals() -> dict[str, bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some formats will be removed from Pillow
        return _originals()


def _originals() -> dict[str, bytes]:
    modes = {"MSP": "1", "XBM": "1", "BLP": "P"}
    images = {kind: smooth_picture(5, (40, 32)).convert(modes.get(kind, "RGB")) for kind in FORMATS}
    return {kind: encode(image, kind).getvalue() for kind, image in images.items()}


@pytest.mark.parametrize("chunk", ["profile", "text", "compressed text"])
def test_large_profiles_and_texts_in_a_png_do_not_matter(tmp_path, chunk):
    noise = np.random.default_rng(0).integers(32, 127, 3 << 20, dtype=np.uint8).tobytes()
    info, options = PngInfo(), {}
    if chunk == "profile":
        options["icc_profile"] = noise
    else:
        info.add_text("parameters", noise.decode(), zip=chunk == "compressed text")
    halves("red", "blue").save(tmp_path / "a.png", pnginfo=info, **options)
    pixels = np.zeros((1, 3, 16, 16), np.uint8)
    before = PngImagePlugin.MAX_TEXT_CHUNK
    assert PictureReader(FolderFiles(tmp_path, ["a.png"]), 16, 3, None).fill(pixels, 0) == {}
    assert colours(pixels[0]) == (RED, BLUE)
    assert before == PngImagePlugin.MAX_TEXT_CHUNK


def test_cmyk_jpeg():
    image = halves("red", "blue").convert("CMYK")
    left, right = colours(decode(encode(image, "JPEG", quality=95), 16, 3, None))
    assert np.abs(np.array([left, right]) - [RED, BLUE]).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_one_channel_is_luma(kind):
    image = smooth_picture(1, (64, 64))
    grey = decode(encode(image, kind), 64, 1, None)
    assert grey.shape == (1, 64, 64)
    assert np.abs(grey[0] - np.asarray(image.convert("L"), np.float32)).mean() < 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(kind, orientation):
    upright = smooth_picture(2, (96, 60))
    turns = Image.Transpose
    undo = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(encode(stored, kind, exif=exif), 16, 3, None).astype(float)
    expected = decode(encode(upright), 16, 3, None)
    assert np.abs(pixels - expected).mean() < 5  # any other orientation: more than 60


def test_a_turned_picture_of_16_bits():
    wide = np.zeros((8, 16), np.uint16)
    wide[:, 8:] = 65535
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = decode(encode(Image.fromarray(wide), "PNG", exif=exif), 8, 1, None)
    assert pixels[0, 4, 0] > 200
    assert pixels[0, 4, -1] < 50


def test_damaged_exif_does_not_spoil_a_picture():
    data = encode(halves("red", "blue"), "WEBP", lossless=True, exif=b"Exif\0\0no tiff at all")
    assert colours(decode(data, 16, 3, None)) == (RED, BLUE)


def test_what_the_system_refuses_is_not_blamed_on_the_picture():
    class Failing:
        def open(self, index: int) -> IO[bytes]:
            raise OSError(errno.EIO, "Input/output error")

        def where(self, index: int) -> str:
            return "a.jpg"

        def close(self) -> None: ...

    reader = PictureReader(Failing(), 16, 3, None)
    with pytest.raises(OSError, match=r"Input/output error: 'a.jpg'"):
        reader.fill(np.zeros((1, 3, 16, 16), np.uint8), 0)


@pytest.mark.parametrize("size", [28, 32, 64, 128])
@pytest.mark.parametrize("picture", [(178, 218), (500, 331), (333, 1000)])
def test_scaled_decoding_shows_the_same(size, picture):
    data = encode(smooth_picture(3, picture), "JPEG", quality=95).getvalue()
    crop = 178 if picture == (178, 218) else None
    scaled = decode(io.BytesIO(data), size, 3, crop).astype(float)
    whole = decode(encode(Image.open(io.BytesIO(data))), size, 3, crop)  # no JPEG any more
    assert np.abs(scaled - whole).mean() < 0.7
    # A crop that is off by a fifth of a pixel would exceed this tolerance.
    shifted = np.abs(0.8 * whole[..., 1:] + 0.2 * whole[..., :-1] - whole[..., 1:]).mean()
    assert np.abs(scaled - whole)[..., 1:].mean() < max(shifted, 0.3)


def test_a_crop_larger_than_the_picture_is_the_shorter_side():
    data = encode(smooth_picture(4, (40, 60))).getvalue()
    np.testing.assert_array_equal(
        decode(io.BytesIO(data), 64, 3, 178), decode(io.BytesIO(data), 64, 3, None)
    )


def test_bad_pictures_are_named_and_the_others_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    good = encode(smooth_picture(0, (30, 30)), "JPEG").getvalue()
    files = {
        "0.jpg": good,
        "1.jpg": good[: len(good) // 2],
        "2.jpg": b"",
        "3.jpg": b"not a picture",
        "4.png": encode(smooth_picture(0, (40, 40))).getvalue(),  # more pixels than Pillow's limit
        "5.jpg": good,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    reader = PictureReader(FolderFiles(tmp_path, [*files, "absent.jpg"]), 16, 3, None)
    out = np.zeros((7, 3, 16, 16), np.uint8)
    bad = reader.fill(out, 0)
    assert sorted(bad) == [1, 2, 3, 4, 6]
    assert "DecompressionBomb" in bad[4]
    np.testing.assert_array_equal(out[0], out[5])
    assert out[0].any()
