"""Grids of images, captioned sheets, and PNG files with text."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngImageFile, PngInfo
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from facegan.files import replacing

PADDING = 2
SHEET = "grid.png"  # grid of the first pictures in a directory of many
IMAGES_SEEN = "images_seen"  # key of a PNG's text chunk


def picture(image: Tensor) -> Image.Image:
    """A uint8 image (C, H, W) with 1 or 3 channels as a Pillow image."""
    return to_pil_image(image.cpu())


def grid(images: Tensor, columns: int = 8) -> Image.Image:
    """uint8 images (N, C, H, W), ``columns`` per row; small images are enlarged to about 64 px."""
    sheet = make_grid(images.cpu(), nrow=min(columns, len(images)), padding=PADDING)
    scale = max(1, round(64 / images.shape[-1]))
    return picture(sheet).resize(
        (sheet.shape[2] * scale, sheet.shape[1] * scale), Image.Resampling.NEAREST
    )


def save_png(image: Image.Image, path: Path, **text: object) -> None:
    """Write a PNG atomically, with ``text`` as its text chunks."""
    info = PngInfo()
    for key, value in text.items():
        info.add_text(key, str(value))
    with replacing(path) as partial:
        image.save(partial, format="PNG", pnginfo=info)


def read_text(path: Path) -> dict[str, str]:
    """The text chunks of a PNG."""
    with PngImageFile(path) as image:
        return {key: str(value) for key, value in image.text.items()}


def captioned(rows: Sequence[tuple[str, Image.Image]], size: int = 16) -> Image.Image:
    """Strips in rows, each with its caption (one or more lines of ``size`` px) on the left."""
    font = ImageFont.load_default(size=size)
    lines = [line for caption, _ in rows for line in caption.splitlines()]
    margin = 16 + max((int(font.getlength(line)) for line in lines), default=0)
    width = max(strip.width for _, strip in rows)
    heights = [strip.height for _, strip in rows]
    sheet = Image.new("RGB", (margin + width, sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    top = 0
    for (caption, strip), height in zip(rows, heights, strict=True):
        sheet.paste(strip.convert("RGB"), (margin, top))
        draw.text((8, top + height / 2), caption, fill="black", font=font, anchor="lm")
        top += height
    return sheet


def heading(text: str, width: int, size: int = 12) -> Image.Image:
    """A white strip, ``width`` px wide, with a line of text: the title of what is below."""
    strip = Image.new("RGB", (width, size + 8), "white")
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(strip).text((2, size / 2 + 4), text, fill="black", font=font, anchor="lm")
    return strip


def side_by_side(strips: Sequence[Image.Image], gap: int = 12) -> Image.Image:
    """Pictures in one row, with ``gap`` px of white between them."""
    width = sum(strip.width for strip in strips) + gap * (len(strips) - 1)
    sheet = Image.new("RGB", (width, max(strip.height for strip in strips)), "white")
    left = 0
    for strip in strips:
        sheet.paste(strip.convert("RGB"), (left, 0))
        left += strip.width + gap
    return sheet
