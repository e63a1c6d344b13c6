from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facegan.pictures.sheets import (
    captioned,
    grid,
    heading,
    read_text,
    save_png,
    side_by_side,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_shows_images_in_reading_order(channels: int):
    images = torch.zeros(4, channels, 64, 64, dtype=torch.uint8)
    images[1] = 200
    pixels = np.asarray(grid(images, columns=2).convert("L"))
    assert pixels.shape == (134, 134)
    assert pixels[30, 100] == 200
    assert pixels[100, 30] == pixels[30, 30] == 0


def test_small_images_are_enlarged():
    assert grid(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).height == 2 * (28 + 4)


def test_captioned_puts_strips_below_each_other_beside_their_captions():
    strips = [Image.new("RGB", (50, 20), colour) for colour in ("red", "blue")]
    sheet = captioned(list(zip(["0 images", "20,000 images"], strips, strict=True)))
    assert sheet.height == 40
    assert sheet.getpixel((sheet.width - 1, 10)) == (255, 0, 0)
    assert sheet.getpixel((sheet.width - 1, 30)) == (0, 0, 255)
    caption = np.asarray(sheet.crop((0, 20, sheet.width - 50, 40)).convert("L"))
    assert caption.min() < 128  # something is written there


def test_png_is_written_whole_with_its_text(tmp_path: Path):
    path = tmp_path / "new" / "a.png"
    save_png(Image.new("L", (3, 3)), path, images_seen=7)
    assert read_text(path) == {"images_seen": "7"}
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_pictures_stand_side_by_side_with_white_between():
    row = side_by_side([Image.new("RGB", (10, 8), "red"), Image.new("L", (5, 8), 0)], gap=3)
    assert row.size == (18, 8)
    pixels = np.asarray(row)[4]
    assert (pixels[:10] == [255, 0, 0]).all()
    assert (pixels[10:13] == 255).all()
    assert (pixels[13:] == 0).all()


def test_a_heading_has_its_text():
    strip = np.asarray(heading("nearest", 100).convert("L"))
    assert strip.shape[1] == 100
    assert strip.min() < 128
