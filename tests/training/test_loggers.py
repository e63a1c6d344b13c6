import csv
from pathlib import Path

import pytest

from facegan.training.loggers.csv import CSVLogger, forget_metrics_after


def write(run_dir: Path, *metrics: tuple[int, dict[str, float]]) -> None:
    logger = CSVLogger(str(run_dir))
    for step, values in metrics:
        logger.log_metrics(values, step)
        logger.save()


def read(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_second_logger_continues_the_file(tmp_path: Path):
    write(tmp_path, (64, {"loss/d": 1.0}), (128, {"loss/d": 2.0}))
    write(tmp_path, (192, {"loss/d": 3.0, "new": 4.0}))
    assert [row["step"] for row in read(tmp_path)] == ["64", "128", "192"]
    assert [row["new"] for row in read(tmp_path)] == ["", "", "4.0"]


def test_a_new_column_never_costs_the_rows_before(tmp_path: Path, monkeypatch):
    write(tmp_path, (64, {"loss/d": 1.0}))
    monkeypatch.setattr(Path, "replace", lambda *_: pytest.fail("killed before it was whole"))
    with pytest.raises(pytest.fail.Exception):
        write(tmp_path, (128, {"new": 2.0}))
    assert [row["step"] for row in read(tmp_path)] == ["64"]


def test_rows_that_will_be_written_again_are_dropped(tmp_path: Path):
    write(tmp_path, *((step, {"loss/d": float(step), "x": 0.0}) for step in (64, 128, 192)))
    forget_metrics_after(tmp_path / "metrics.csv", images_seen=128)
    assert [row["step"] for row in read(tmp_path)] == ["64", "128"]
    write(tmp_path, (192, {"loss/d": 7.0}))
    assert read(tmp_path)[-1]["loss/d"] == "7.0"


def test_a_line_cut_short_is_dropped(tmp_path: Path):
    write(tmp_path, (64, {"loss/d": 1.0, "x": 0.0}))
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("2.0,1")
    forget_metrics_after(tmp_path / "metrics.csv", images_seen=1000)
    assert [row["step"] for row in read(tmp_path)] == ["64"]


def test_a_run_that_begins_forgets_what_was_measured_before_training(tmp_path: Path):
    write(tmp_path, (0, {"clusters/inertia": 1.0}))
    forget_metrics_after(tmp_path / "metrics.csv", images_seen=0)
    assert read(tmp_path) == []


def test_nothing_to_forget(tmp_path: Path):
    forget_metrics_after(tmp_path / "metrics.csv", images_seen=1)
    assert not list(tmp_path.iterdir())
