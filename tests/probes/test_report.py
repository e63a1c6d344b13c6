"""Tables, and what pictures show."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegan.files import read_csv
from facegan.probes import report
from facegan.probes.scores import PROBE_METRICS, Score, Scores
from facegan.probes.task import Problem
from tests.shown import pixels

BLUE, ORANGE, GREEN = (31, 119, 180), (255, 127, 14), (44, 160, 44)  # of the first three series
DARKEST, LIGHTEST = (8, 48, 107), (247, 251, 255)  # of matplotlib's "Blues"


def count(path: Path, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(Image.open(path)) == colour).all(2).sum())


def scores(value: float) -> Scores:
    return {metric: Score(value, value - 0.1, value + 0.1) for metric in PROBE_METRICS}


def test_a_series_for_each_of_what_is_read_and_a_row_for_each_label(tmp_path: Path):
    results = {"D": {"Male": scores(0.5)}, "pixels": {"Male": scores(0.4)}}
    report.write_scores(results, {"test": 6}, tmp_path)
    rows = read_csv(tmp_path / "scores.csv")
    assert [(row["reads"], row["accuracy"], row["accuracy_low"]) for row in rows] == [
        ("D", "0.5", "0.4"),
        ("pixels", "0.4", str(0.4 - 0.1)),
    ]
    report.draw_scores(results, tmp_path)
    path = tmp_path / "scores.png"
    assert count(path, BLUE) > 100
    assert count(path, ORANGE) > 100
    assert count(path, GREEN) == 0
    height = len(pixels(path))
    many = {"D": {f"label {number}": scores(0.5) for number in range(10)}}
    report.draw_scores(many, tmp_path)
    assert len(pixels(path)) > 1.5 * height


def test_a_line_for_each_of_what_is_read(tmp_path: Path):
    counts = {20: {"Male": scores(0.5)}, 180: {"Male": scores(0.7)}}
    report.write_efficiency({"D": counts, "pixels": counts}, tmp_path)
    rows = read_csv(tmp_path / "label_efficiency.csv")
    assert [(row["reads"], row["labels"], row["accuracy"]) for row in rows] == [
        *[("D", "20", "0.5"), ("D", "180", "0.7")],
        *[("pixels", "20", "0.5"), ("pixels", "180", "0.7")],
    ]
    report.draw_efficiency({"D": counts, "pixels": counts}, tmp_path)
    assert count(tmp_path / "label_efficiency.png", ORANGE) > 100
    report.draw_efficiency({"D": counts}, tmp_path)
    assert count(tmp_path / "label_efficiency.png", BLUE) > 100
    assert count(tmp_path / "label_efficiency.png", ORANGE) == 0


@pytest.mark.parametrize(("predicted", "dark"), [([0, 1, 2], 3), ([0, 0, 0], 3), ([0, 1, 1], 3)])
def test_each_class_is_dark_where_it_is_predicted(tmp_path: Path, predicted: list[int], dark: int):
    problem = Problem(["digit"], ["0", "1", "2"])
    targets = np.array([0, 1, 2])
    path = tmp_path / "confusion.png"
    report.draw_confusion(np.eye(3)[predicted], targets, problem, tmp_path)
    shares = count(path, DARKEST) / (count(path, DARKEST) + count(path, LIGHTEST))
    assert shares == pytest.approx(dark / 9, abs=0.05)
    pixels = (np.asarray(Image.open(path)) == DARKEST).all(2)
    rows, columns = np.nonzero(pixels)
    assert (np.ptp(columns) > 1.5 * np.ptp(rows) / 3) == (len(set(predicted)) > 1)


def test_attributes_have_no_confusion(tmp_path: Path):
    report.draw_confusion(np.zeros((3, 2)), np.zeros((3, 2)), Problem(["a", "b"]), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_curve_shows_metrics_and_the_labels_with_the_highest_nmi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = [
        {"images_seen": seen, **report.flat(scores(0.5))}
        | {f"nmi/{number}": number / 20 for number in range(12)}
        for seen in (0, 72)
    ]
    shown: dict[str, dict[str, list[float]]] = {}
    draw: Callable[..., Image.Image] = report.plots.curves

    def curves(x: list[float], panels: dict[str, dict[str, list[float]]]) -> Image.Image:
        shown.update(panels)
        assert x == [0, 72]
        return draw(x, panels)

    monkeypatch.setattr(report.plots, "curves", curves)
    report.write_curve(rows, tmp_path)
    probe, nmi = shown.values()
    assert list(probe) == list(PROBE_METRICS)
    assert list(nmi) == [str(number) for number in reversed(range(2, 12))]
    assert count(tmp_path / "curve.png", BLUE) > 100
    assert len(read_csv(tmp_path / "curve.csv")) == 2


def test_prevalence_shows_pictures_beside_real_images(tmp_path: Path):
    predicted = np.array([[1, 0]] * 3 + [[0, 0]], bool)
    report.write_prevalence(["a", "b"], predicted, np.array([0.5, 0.25]), [0.4, 0.2], tmp_path)
    first, second = read_csv(tmp_path / "prevalence.csv")
    assert (first["pictures"], first["real"], first["labelled"]) == ("0.7500", "0.5000", "0.4000")
    assert float(first["margin"]) == pytest.approx(1.96 * (0.75 * 0.25 / 4) ** 0.5, abs=1e-4)
    assert second["margin"] == "0.0000"
    pixels = np.asarray(Image.open(tmp_path / "prevalence.png")).astype(int)
    left = pixels[:, : pixels.shape[1] * 3 // 4]  # without the legend
    columns = {colour: np.nonzero((left == colour).all(2))[1] for colour in (BLUE, ORANGE)}
    assert columns[BLUE].max() > columns[ORANGE].max()  # 0.75 and its interval, beside 0.5
    assert columns[BLUE].min() < columns[ORANGE].min()  # 0, beside 0.25
