"""The leaderboard of a sweep, made from the files of its jobs."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from facegan.errors import InputError
from facegan.files import read_csv
from facegan.pages.leaderboard import last_samples, read_leaderboard, write_leaderboard
from tests.shown import bars_in


def job(sweep_dir: Path, number: int, overrides: list[str], **result: object) -> Path:
    """Files of a job as a training leaves them; without a result it was killed."""
    run_dir = sweep_dir / str(number)
    (run_dir / ".hydra").mkdir(parents=True)
    text = yaml.safe_dump(overrides, allow_unicode=True)
    (run_dir / ".hydra" / "overrides.yaml").write_text(text, encoding="utf-8")
    if result:
        content = {"metric": "quality/recall", "mode": "max", **result}
        (run_dir / "result.json").write_text(json.dumps(content), encoding="utf-8")
    return run_dir


def samples(run_dir: Path, epoch: int, grey: int) -> None:
    """A grid of one grey, as tall as four strips of it."""
    (run_dir / "samples").mkdir(exist_ok=True)
    name = run_dir / "samples" / f"epoch_{epoch:03d}.png"
    Image.fromarray(np.full((80, 40, 3), grey, np.uint8)).save(name)


def test_jobs_are_ranked_and_failed_ones_come_last(tmp_path: Path, caplog):
    job(tmp_path, 0, ["a=1", "b=1"], objective=0.2)
    job(tmp_path, 1, ["a=1", "b=2", "sweep=optuna"], objective=0.3)
    job(tmp_path, 2, ["a=1", "b=3"])  # killed
    with caplog.at_level(logging.INFO):
        write_leaderboard(tmp_path)
    rows = read_csv(tmp_path / "leaderboard.csv")
    assert [row["job"] for row in rows] == ["1", "0", "2"]
    assert [row["place"] for row in rows] == ["1", "2", ""]
    assert rows[0]["quality/recall"] == "0.3"
    assert (rows[0]["b"], rows[1]["b"]) == ("2", "1")
    assert "a" not in rows[0]  # all jobs share it
    assert rows[2]["error"] == "did not end"
    assert "python -m facegan.train a=1 b=2\n" in caplog.text + "\n"


def test_the_lowest_objective_is_the_best_where_it_is_minimised(tmp_path: Path):
    job(tmp_path, 0, ["b=1"], objective=0.2, mode="min")
    job(tmp_path, 1, ["b=2"], objective=0.1, mode="min")
    assert [found.run_dir.name for found in read_leaderboard(tmp_path).jobs] == ["1", "0"]


def test_faces_are_those_of_the_last_epoch_best_job_on_top(tmp_path: Path):
    for number, (objective, grey) in enumerate([(0.2, 60), (0.3, 200)]):
        run_dir = job(tmp_path, number, [f"b={number}"], objective=objective)
        samples(run_dir, 999, 0)
        samples(run_dir, 1000, grey)  # sorts before epoch_999 as text
    write_leaderboard(tmp_path)
    with Image.open(tmp_path / "samples.png") as sheet:
        column = np.asarray(sheet.convert("L"))[:, sheet.width - 5]
    assert list(column) == [200] * 20 + [60] * 20


def test_a_file_that_is_no_grid_is_not_taken_for_one(tmp_path: Path):
    run_dir = job(tmp_path, 0, [], objective=1.0)
    assert last_samples(run_dir) is None
    samples(run_dir, 1, 7)
    (run_dir / "samples" / "epoch_last.png").write_bytes(b"")
    strip = last_samples(run_dir)
    assert strip is not None
    assert strip.getpixel((0, 0)) == (7, 7, 7)


def test_the_chart_has_a_bar_per_finished_job(tmp_path: Path):
    for number in range(3):
        job(tmp_path, number, [f"b={number}"], objective=0.5)
    job(tmp_path, 3, ["b=3"])
    write_leaderboard(tmp_path)
    assert bars_in(tmp_path / "leaderboard.png") == 3


def test_overrides_in_any_language(tmp_path: Path):
    """Encodings are named: the locale's does not matter."""
    job(tmp_path, 0, ["dataset.root=grün"], objective=0.2)
    job(tmp_path, 1, ["dataset.root=жук"], objective=0.1)
    write_leaderboard(tmp_path)
    assert {row["dataset.root"] for row in read_csv(tmp_path / "leaderboard.csv")} == {
        "grün",
        "жук",
    }


def test_a_directory_without_jobs_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="There is no sweep in"):
        read_leaderboard(tmp_path)
