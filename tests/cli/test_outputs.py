"""Results that cannot be written are found out before the work."""

from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("command", "work", "options"),
    [
        ("sample", "facegan.gan.sampling.write_samples", []),
        ("cluster", "facegan.cluster.build_data", []),
        ("cluster", "facegan.cluster.pictures_in", ["predict=."]),
        ("classify", "facegan.classify.build_data", []),
        ("classify", "facegan.classify.build_data", ["classify.probe=cnn"]),
        ("classify", "facegan.classify.build_data", ["classify.curve=true"]),
        ("classify", "facegan.classify.build_data", ["label=."]),
        ("evaluate", "facegan.evaluate.build_data", []),
        ("evaluate", "facegan.evaluate.build_data", ["ckpt=null", "compare=[{run},{run}]"]),
        (
            "evaluate",
            "facegan.evaluate.build_data",
            ["ckpt=null", "samples=.", "dataset.image_size=16", "dataset.channels=3"],
        ),
        ("report", "facegan.pages.leaderboard.write_leaderboard", ["dir=."]),
    ],
)
def test_no_work_is_done_where_nothing_can_be_written(
    run, finished_run: Path, tmp_path: Path, monkeypatch, command: str, work: str, options
):
    monkeypatch.setattr(work, None)  # to call it would be an error
    options = [option.format(run=finished_run) for option in options]
    if command == "report":
        # A directory that nobody may write to, also where root runs the tests.
        monkeypatch.setattr("facegan.files.TemporaryFile", read_only)
    else:
        (tmp_path / "file").touch()
        options = [f"ckpt={finished_run}", *options, "out=file/out"]
    status, output = run(import_module(f"facegan.{command}"), *options)
    assert status == 2, output
    assert "Nothing can be written to" in output
    assert "Traceback" not in output


def read_only(**_: object) -> None:
    raise PermissionError(13, "Permission denied")
