"""Run directories through the command line: kept, locked, and removed if a run is refused."""

import errno
import os
from pathlib import Path

import pytest

from facegan.errors import WriteError


def test_a_run_is_not_written_over_another(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    files = [tmp_path / "run" / name for name in ("metrics.csv", ".hydra/overrides.yaml")]
    before = [file.read_bytes() for file in files]
    status, output = train("trainer.max_epochs=1", "model.lr_g=1e-3")
    assert status == 2
    assert f"resume={tmp_path}/run" in output
    assert [file.read_bytes() for file in files] == before


@pytest.mark.slow
def test_a_run_directory_has_one_process_at_a_time(train, tmp_path: Path):
    from facegan.run_dir import reserved

    (tmp_path / "run").mkdir()
    with reserved(tmp_path / "run"):
        status, output = train()
        assert status == 2
        assert f"Another process is training in {tmp_path}/run" in output
    assert not (tmp_path / "run" / "metrics.csv").exists()
    assert train("trainer.max_epochs=1")[0] == 0


def test_a_file_system_without_locks_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fcntl = pytest.importorskip("fcntl")
    from facegan.run_dir import reserved

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with reserved(tmp_path), reserved(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_lock_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    """Only a file system without locks may go without one."""
    fcntl = pytest.importorskip("fcntl")
    from facegan.run_dir import reserved

    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(WriteError, match="Nothing can be written to"), reserved(tmp_path):
        pass


@pytest.mark.slow
def test_a_run_within_the_directory_of_another_keeps_its_files(train, tmp_path: Path):
    assert train(f"hydra.run.dir={tmp_path}/outer/inner", "trainer.max_epochs=1")[0] == 0
    files = [path for path in (tmp_path / "outer" / "inner").rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in files}
    status, output = train(f"hydra.run.dir={tmp_path}/outer", "trainer.max_epochs=1")
    assert status == 0, output
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_home_directory_in_a_path_is_expanded(train, tmp_path: Path, monkeypatch):
    home = tmp_path / "a\\Users home"  # as on Windows: no template of re
    monkeypatch.setenv("HOME", str(home))
    status, output = train("data_dir=~/packed", "trainer.max_epochs=1")
    assert status == 0, output
    assert list((home / "packed").glob("synthetic-*"))
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("value", ["model.lr_g=-1", "dataset.n=0", "dataset.n=7"])
def test_a_refused_run_leaves_no_directory(train, tmp_path: Path, value: str):
    status, output = train(value)
    assert status == 2, output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["notes.txt", "train.log"])
def test_a_refused_run_leaves_what_others_have_put_there(train, tmp_path: Path, name: str):
    theirs = tmp_path / "run" / name
    theirs.parent.mkdir()
    theirs.write_text("mine")
    assert train("model.lr_g=-1")[0] == 2
    assert theirs.read_text().startswith("mine")


def test_a_refused_run_leaves_links_and_the_working_directory(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    there = tmp_path / "elsewhere"
    there.mkdir()
    (tmp_path / "run").symlink_to(there)
    assert train("model.lr_g=-1")[0] == 2
    assert there.is_dir()
    monkeypatch.chdir(there)
    assert train("model.lr_g=-1", "hydra.run.dir=.")[0] == 2
    assert there.is_dir()
