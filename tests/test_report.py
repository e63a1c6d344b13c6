"""facegan.report, through its command line."""

import sys
from pathlib import Path

import pytest

from facegan import report
from tests.pages.test_leaderboard import job
from tests.shown import bars_in


@pytest.mark.parametrize("argument", ["{}", "dir={}"])
def test_a_leaderboard_is_made_again(tmp_path: Path, monkeypatch, argument: str):
    sweep_dir = tmp_path / "grün, (2)"
    job(sweep_dir, 0, ["a=1"], objective=0.2)
    monkeypatch.setattr(sys, "argv", ["facegan.report", argument.format(sweep_dir)])
    report.main()
    assert bars_in(sweep_dir / "leaderboard.png") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say which sweep to report on"),
        (["dir=nowhere"], "dir=nowhere is not a directory."),
        (["dir=."], "There is no sweep in"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    tmp_path: Path, monkeypatch, capsys, arguments: list[str], sentence: str
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["facegan.report", *arguments])
    with pytest.raises(SystemExit) as ended:
        report.main()
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert sentence in output.out + output.err
