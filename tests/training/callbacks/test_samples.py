"""The timeline shows what Samples has written, and nothing else."""

from pathlib import Path

from PIL import Image

from facegan.pictures.sheets import IMAGES_SEEN, save_png
from facegan.training.callbacks.samples import timeline

COLOURS = {0: (255, 0, 0), 500: (0, 255, 0), 999: (0, 0, 255), 1000: (255, 255, 0)}


def write_grids(directory: Path) -> None:
    for epoch, colour in COLOURS.items():
        sheet = Image.new("RGB", (80, 80), colour)
        save_png(sheet, directory / f"epoch_{epoch:03d}.png", **{IMAGES_SEEN: epoch * 72})


def strips(sheet: Image.Image) -> list[tuple[int, ...]]:
    """The colour of each row of the timeline."""
    return [sheet.getpixel((sheet.width - 5, 5 + 10 * row)) for row in range(sheet.height // 10)]


def test_rows_are_in_the_order_of_epochs_also_beyond_999(tmp_path: Path):
    write_grids(tmp_path)
    sheet = timeline(tmp_path, columns=8)
    assert sheet is not None
    assert strips(sheet) == [COLOURS[0], COLOURS[500], COLOURS[1000]]


def test_files_of_others_are_skipped(tmp_path: Path):
    write_grids(tmp_path)
    Image.new("RGB", (80, 80)).save(tmp_path / "epoch_1001.png")  # without text chunks
    (tmp_path / "epoch_1002.png").write_bytes(b"not a picture")
    save_png(Image.new("RGB", (80, 80)), tmp_path / "epoch_1003.png", **{IMAGES_SEEN: "many"})
    save_png(Image.new("RGB", (80, 80)), tmp_path / "epoch_last.png", **{IMAGES_SEEN: 10**9})
    sheet = timeline(tmp_path, columns=8)
    assert sheet is not None
    assert strips(sheet)[-1] == COLOURS[1000]


def test_without_grids_there_is_no_timeline(tmp_path: Path):
    (tmp_path / "epoch_001.png").write_bytes(b"")
    assert timeline(tmp_path, columns=8) is None
