"""Diagrams drawn with matplotlib: each function returns a picture.

Names are drawn literally: ``$`` does not start a formula.
"""

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter
from PIL import Image

DPI = 100
COLOURED_GROUPS = 12  # groups coloured in a scatter plot
CONFUSED = 40  # classes with a row of their own in a confusion matrix


def margin_of_share(share: np.ndarray, n: int) -> np.ndarray:
    """Half width of the 95 % interval of shares of ``n`` draws (normal approximation)."""
    return 1.96 * np.sqrt(share * (1 - share) / n)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, np.ndarray]:
    """A figure with axes (rows, columns), each panel ``width x height`` inches."""
    figure = Figure((width * columns, height * rows), dpi=DPI)
    FigureCanvasAgg(figure)  # renders without a window
    return figure, figure.subplots(rows, columns, squeeze=False)


def _drawn(figure: Any, tight: bool = True) -> Image.Image:
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # drawn as a box
        if tight:
            figure.tight_layout()
        figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")


def _printable(name: object) -> str:
    """``name`` with ``?`` for the undecodable bytes that names of files can have."""
    return str(name).encode("utf-8", "replace").decode()


def _short(name: object, length: int = 40) -> str:
    """``name`` as drawn, on one line of at most ``length`` characters."""
    line = " ".join(_printable(name).split()) or "?"
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _legend(axis: Any, drawn: Mapping[str, Any], size: int, **options: Any) -> None:
    """A legend beside the axes: a name for each of what was drawn.

    Names are set afterwards, since matplotlib leaves out those that begin with an underscore.
    """
    numbers = [str(number) for number in range(len(drawn))]
    place = {"loc": "center left", "bbox_to_anchor": (1, 0.5), **options}
    legend = axis.legend(list(drawn.values()), numbers, fontsize=size, **place)
    for text, name in zip(legend.get_texts(), drawn, strict=True):
        text.set_text(name)


def scatter(points: np.ndarray, panels: Mapping[str, np.ndarray]) -> Image.Image:
    """Points (N, 2), one panel per title, coloured by its values (N,) with a legend.

    Only the ``COLOURED_GROUPS`` most frequent values have a colour; other points are grey.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = _figure(rows, columns, 4.2, 3.6)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, values) in zip(axes.flat, panels.items(), strict=False):
        groups, sizes = np.unique(values, return_counts=True)
        shown = sorted(groups[np.argsort(-sizes, kind="stable")][:COLOURED_GROUPS])
        axis.scatter(*points.T, s=4, color="lightgrey")
        drawn: dict[str, Any] = {}
        for number, group in enumerate(shown):
            colour = f"C{number}" if len(shown) <= 10 else f"C{number % 10}"
            marker = "o" if number < 10 else "x"
            name = textwrap.fill(_short(group), 14, max_lines=2, placeholder="…")
            name = name if name not in drawn else f"{name} ({number + 1})"
            dots = axis.scatter(*points[values == group].T, s=6, color=colour, marker=marker)
            drawn[name] = dots
        axis.set_title(_short(title, 60), fontsize=10)
        _legend(axis, drawn, 6, markerscale=2)
    # Fixed margins: tight_layout takes seconds here.
    right = 1 - 1 / (4.2 * columns)  # an inch for the legend
    figure.subplots_adjust(0.01, 0.01, right, 0.94, wspace=0.25, hspace=0.1)
    return _drawn(figure, tight=False)


def curves(
    x: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    x_label: str = "images seen",
    logarithmic: bool = False,
) -> Image.Image:
    """Lines over ``x``: one panel per title, one line per name; nan leaves a gap."""
    columns = min(3, len(panels))
    figure, axes = _figure(-(-len(panels) // columns), columns, 5.2, 3.6)
    for unused in axes.flat[len(panels) :]:
        unused.set_axis_off()
    for axis, (title, lines) in zip(axes.flat, panels.items(), strict=False):
        drawn: dict[str, Any] = {}
        for number, (name, values) in enumerate(lines.items()):
            style = "-" if number < 10 else "--"
            (drawn[_short(name, 24)],) = axis.plot(x, values, style, marker=".")
        axis.set_title(_short(title, 60), fontsize=10)
        axis.set_xlabel(x_label)
        if logarithmic:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(LogFormatter())  # the default writes formulas
            axis.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))
        axis.grid(alpha=0.3)
        if 1 < len(lines) <= 20:
            _legend(axis, drawn, 7)
    return _drawn(figure)


def intervals(
    title: str,
    rows: Sequence[str],
    values: Mapping[str, Sequence[tuple[float, float, float]]],
) -> Image.Image:
    """A value with its interval, ``(value, low, high)``, for each row of each named series."""
    figure, axes = _figure(1, 1, 9.5, 1.2 + 0.26 * max(3, len(rows)))
    axis = axes[0, 0]
    y = np.arange(len(rows))
    for number, (name, series) in enumerate(values.items()):
        value, low, high = np.array(series, float).T
        shift = 0.12 * (number - (len(values) - 1) / 2)
        # A bootstrap interval of few draws can lie on one side of the value.
        error = np.maximum(0, [value - low, high - value])
        axis.errorbar(value, y + shift, xerr=error, fmt="o", ms=3, lw=1, label=name)
    axis.set_yticks(y, [_short(row) for row in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)  # first row on top
    axis.grid(axis="x", alpha=0.3)
    axis.set_title(_short(title, 60), fontsize=10)
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))  # beside the points
    return _drawn(figure)


def prevalence(
    rows: Sequence[str], share: np.ndarray, margin: np.ndarray, name: str, real: Sequence[float]
) -> Image.Image:
    """Share of images with each label, ``share`` ± ``margin`` (L,), beside that of ``real`` images.

    ``rows``: the labels; ``name``: of the images that ``share`` is of.
    """
    series = {
        name: list(zip(share, np.maximum(0, share - margin), share + margin, strict=True)),
        "real": [(value, value, value) for value in real],
    }
    return intervals("share of images, as the classifier predicts", rows, series)


def bars(title: str, rows: Sequence[str], values: Sequence[float]) -> Image.Image:
    """A horizontal bar per row, with its value."""
    lines = sum(max(2, row.count("\n") + 1) for row in rows)
    figure, axes = _figure(1, 1, 9, 1.2 + 0.16 * lines)
    axis = axes[0, 0]
    drawn = axis.barh(range(len(rows)), values)
    axis.bar_label(drawn, fmt=" %.4g", fontsize=8)
    ticks = ["\n".join(_short(line, 80) for line in row.split("\n")) for row in rows]
    axis.set_yticks(range(len(rows)), ticks, fontsize=8)
    axis.margins(x=0.12)
    axis.invert_yaxis()
    axis.set_title(_short(title, 60), fontsize=10)
    return _drawn(figure)


def confusion(matrix: np.ndarray, names: Sequence[str]) -> Image.Image:
    """Counts (true, predicted), coloured by their share of the true class.

    Of more than CONFUSED classes, those with the most images have a row, and the rest share one.
    """
    if len(names) > CONFUSED:
        shown = np.sort(np.argsort(-matrix.sum(1), kind="stable")[: CONFUSED - 1])
        group = np.full(len(names), CONFUSED - 1)
        group[shown] = np.arange(CONFUSED - 1)
        merged = np.zeros((CONFUSED, CONFUSED), matrix.dtype)
        np.add.at(merged, (group[:, None], group[None]), matrix)
        others = f"{len(names) - len(shown)} others"
        matrix, names = merged, [*(names[number] for number in shown), others]
    ticks = [_short(name, 24) for name in names]
    # A character of a tick takes about 0.08 inches.
    side = max(2, 1 + 0.08 * max(map(len, ticks))) + 0.42 * len(names)
    figure, axes = _figure(1, 1, side, side)
    axis = axes[0, 0]
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(matrix.shape):
        if matrix[i, j]:
            colour = "white" if share[i, j] > 0.5 else "black"
            axis.text(j, i, f"{matrix[i, j]}", ha="center", va="center", fontsize=7, color=colour)
    axis.set_xticks(range(len(names)), ticks, fontsize=8, rotation=90)
    axis.set_yticks(range(len(names)), ticks, fontsize=8)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    return _drawn(figure)
