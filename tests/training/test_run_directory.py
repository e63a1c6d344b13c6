"""Run directories through the command line: kept, locked, and removed if a run is refused."""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from facegan import train as train_module
from facegan.cli import conf
from facegan.errors import OccupiedError, WriteError
from facegan.files import write_json
from facegan.run_dir import RESULT, new_directory
from tests.conftest import TINY


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


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path):
    names = [new_directory(tmp_path / "a" / "12-00-00").name for _ in range(3)]
    assert names == ["12-00-00", "12-00-00_2", "12-00-00_3"]


def test_many_that_ask_for_one_name_at_once_get_a_directory_each(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: new_directory(tmp_path / "deep" / "run"), range(40)))
    assert len(set(found)) == 40


@pytest.fixture
def noon() -> Iterator[None]:
    """All runs start at one second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(conf.RESOLVERS, "run_name", lambda: "12-00-00")
        conf.register()
        yield
    conf.register()


@pytest.mark.usefixtures("noon")
def test_runs_of_one_second_have_directories_of_their_own(run, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(train_module, "train_rank", lambda invocation: done(invocation.config))
    for _ in range(2):
        status, output = run(train_module, *TINY)
        assert status == 0, output
    assert sorted(path.name for path in (tmp_path / "runs/synthetic").iterdir()) == [
        "12-00-00",
        "12-00-00_2",
    ]


def done(config: dict) -> None:
    """What a run of no time leaves."""
    write_json(Path(config["run_dir"], RESULT), {"objective": 0.0})


@pytest.mark.parametrize(
    "arguments",
    [
        ["dataset.n=7"],
        ["data_dir=${nowhere}"],
        ["hydra.run.dir=new/deep/run", "model.lr_g=-1"],
        ["-m", "model.nothing=1,2"],
        ["-m", "hydra.sweep.dir=new/sweep", "model.nothing=1,2"],
    ],
)
def test_what_is_refused_leaves_nothing_but_data(
    run, data_dir: Path, tmp_path: Path, arguments: list[str]
):
    status, output = run(train_module, *TINY, *arguments)
    assert status == 2, output
    assert "Traceback" not in output
    assert not list(tmp_path.iterdir())


def test_a_run_refused_beside_another_leaves_the_other(train, tmp_path: Path):
    """Its directory was not there when this command began: the other one was as fast."""

    @contextmanager
    def claimed(run_dir: str, *_: object, **__: object) -> Iterator[None]:
        Path(run_dir, ".hydra").mkdir()  # of the other
        raise OccupiedError("Another process is training there.")
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module, "claimed", claimed)
        status, _ = train()
    assert status == 2
    assert (tmp_path / "run" / ".hydra").is_dir()
