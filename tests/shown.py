"""What pictures show: the images of a grid, the series and bars of a diagram."""

from pathlib import Path

import numpy as np
from PIL import Image

from facegan.pictures.sheets import PADDING

COLOURS = {  # matplotlib's, by number of the series, without the grey one
    **dict(enumerate([(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40)])),
    **dict(enumerate([(148, 103, 189), (140, 86, 75), (227, 119, 194)], start=4)),
    **dict(enumerate([(188, 189, 34), (23, 190, 207)], start=8)),
}


def pixels(path: Path) -> np.ndarray:
    """The picture (height, width, 3) at ``path``."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def images_in(sheet: np.ndarray, size: int, columns: int) -> np.ndarray:
    """The images (n, size, size, 3) of a grid, row by row; beside it there may be captions."""
    scale = max(1, round(64 / size))
    step, padding = (size + PADDING) * scale, PADDING * scale
    left = sheet.shape[1] - columns * step - padding
    return np.stack(
        [
            sheet[top : top + size * scale : scale, x : x + size * scale : scale]
            for top in range(padding, sheet.shape[0] - padding, step)
            for x in range(left + padding, left + padding + columns * step, step)
        ]
    )


def nearest_in(sheet: np.ndarray, size: int, clusters: int, *beyond: int) -> list[np.ndarray]:
    """For each cluster of a sheet the six images nearest to its centre, white where it has fewer.

    ``beyond``: how many images the strips to the right of these have.
    """
    scale = max(1, round(64 / size))
    right = sum(12 + (count * (size + PADDING) + PADDING) * scale for count in beyond)
    rows = np.split(sheet[20:], clusters)  # below the titles of the strips
    return [images_in(row[:, :-right], size, 6) for row in rows]


def series_in(path: Path) -> set[int]:
    """Numbers of the series that a diagram shows."""
    shown = pixels(path)
    return {i for i, colour in COLOURS.items() if (shown == colour).all(2).sum() > 20}


def bars_in(path: Path) -> int:
    """How many horizontal bars a diagram shows."""
    blue = (pixels(path) == COLOURS[0]).all(2)
    column = blue[:, blue.sum(0).argmax()]
    return np.count_nonzero(np.diff(column.astype(int), prepend=0) == 1)
