"""What diagrams show, by the colours of their marks."""

import numpy as np
import pytest
from PIL import Image

from facegan.pictures import plots

BLUE, ORANGE = (31, 119, 180), (255, 127, 14)  # matplotlib's first two colours
# A formula, a broken one, undecodable, no glyph, left out by matplotlib's legends, …
HARD = ["$x$", "a $\\frac{", "\udcff", "日本", "_x", "a\tb", "x" * 300, " "]


def marks(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Pixels (n, 2) of ``colour``, by row and column."""
    return np.argwhere((np.abs(np.asarray(picture, int) - colour) < 8).all(-1))


def test_bars_are_as_long_as_their_values():
    picture = plots.bars("scores", ["a", "b"], [1.0, 3.0])
    rows = marks(picture, BLUE)
    lengths = np.bincount(rows[:, 0])
    lengths = lengths[lengths > 20]
    first, second = lengths[: len(lengths) // 2].max(), lengths[len(lengths) // 2 :].max()
    assert second / first == pytest.approx(3, rel=0.02)


def test_scatter_colours_groups_where_their_points_are():
    points = np.array([[0, 0]] * 5 + [[1, 1]] * 5, float)
    picture = plots.scatter(points, {"class": np.array(["left"] * 5 + ["right"] * 5)})
    plot = picture.crop((0, 0, picture.width - 110, picture.height))  # without the legend
    left, right = marks(plot, BLUE), marks(plot, ORANGE)
    assert left[:, 1].max() < right[:, 1].min()
    assert left[:, 0].min() > right[:, 0].max()  # rows of pixels count from the top


@pytest.mark.parametrize("panels", [1, 2, 3, 4])
def test_the_legend_of_the_last_panel_is_inside_the_picture(panels: int):
    groups = np.array(["a_long_class_name", "b"] * 5)
    picture = plots.scatter(np.random.default_rng(0).random((10, 2)), {"a": groups})
    edge = np.asarray(picture)[:, -1]
    assert (edge == 255).all()
    names = {f"panel {i}": groups for i in range(panels)}
    assert plots.scatter(np.eye(10)[:, :2], names).width == 420 * min(3, panels)


def test_ten_long_names_fit_beside_their_panel():
    names = np.array([f"{i}: not Black_Hair, Blond_Hair, some Wearing_Hat" for i in range(10)])
    panels = {f"panel {i}": names for i in range(4)}
    picture = np.asarray(plots.scatter(np.random.default_rng(0).random((10, 2)), panels))
    assert (picture[0] == 255).all()  # where a legend that is too high is cut off


def test_curves_leave_a_gap_at_nan():
    whole = plots.curves([1, 2, 3, 4], {"a": {"x": [1, 1, 1, 1]}})
    broken = plots.curves([1, 2, 3, 4], {"a": {"x": [1, float("nan"), 1, 1]}})
    assert 0 < len(marks(broken, BLUE)) < 0.8 * len(marks(whole, BLUE))


def test_prevalence_shows_the_interval_and_the_real_share():
    share, margin = np.array([0.5]), np.array([0.2])
    picture = plots.prevalence(["Smiling"], share, margin, "generated", [0.8])
    plot = picture.crop((0, 0, picture.width - 110, picture.height))
    generated, real = marks(plot, BLUE)[:, 1], marks(plot, ORANGE)[:, 1]
    assert np.ptp(generated) > 5 * np.ptp(real)
    assert real.mean() > generated.max()  # 0.8 is beyond 0.5 + 0.2


@pytest.mark.parametrize(("matrix", "sign"), [([[9, 0], [0, 9]], 1), ([[0, 9], [9, 0]], -1)])
def test_confusion_is_dark_where_the_counts_are(matrix: list[list[int]], sign: int):
    dark = marks(plots.confusion(np.array(matrix), ["cat", "dog"]), (8, 48, 107))
    assert np.corrcoef(dark.T)[0, 1] * sign > 0.5


def test_margin_of_a_share_by_hand():
    assert plots.margin_of_share(np.array(0.5), 100) == pytest.approx(0.098)


@pytest.mark.parametrize("name", HARD)
@pytest.mark.filterwarnings("error")
def test_names_are_drawn_literally(name: str):
    points = np.random.default_rng(0).random((6, 2))
    plots.scatter(points, {name: np.array([name, "b"] * 3)})
    plots.curves([10, 2000], {name: {name: [1, 2], "b": [2, 3]}}, logarithmic=True)
    plots.intervals(name, [name], {"b": [(0.5, 0.4, 0.6)]})
    plots.bars(name, [name], [1])
    plots.confusion(np.eye(2, dtype=int), [name, "b"])


def test_names_that_begin_with_an_underscore_are_in_the_legend():
    points = np.random.default_rng(0).random((6, 2))

    def legend(name: str) -> np.ndarray:
        picture = plots.scatter(points, {"class": np.array([name, "other"] * 3)})
        return np.asarray(picture)[:, -100:] < 100

    assert (legend("_hidden") ^ legend("hidden")).any()
    lines = {"_first": [1.0, 2.0], "second": [2.0, 1.0]}
    assert plots.curves([1, 2], {"a": lines}).size


def test_a_confusion_of_thousands_of_classes_is_of_bounded_size():
    matrix = np.zeros((5000, 5000), np.int16)
    matrix[7, 7], matrix[3000, 3000], matrix[4999, 4999] = 9, 5, 1
    many = plots.confusion(matrix, [f"person {number}" for number in range(5000)])
    few = plots.confusion(np.eye(plots.CONFUSED, dtype=int), ["x"] * plots.CONFUSED)
    assert many.width < 1.5 * few.width
    dark = marks(many, (8, 48, 107))
    assert np.corrcoef(dark.T)[0, 1] > 0.5
