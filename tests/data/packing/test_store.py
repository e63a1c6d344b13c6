"""Preparing: a store is complete or absent, made once, and its rows stay aligned."""

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facegan.data.packing.store import Store, prepare
from facegan.errors import InputError
from tests.data.stand_ins import Counting, Failing, Pids, source


def assert_aligned(store: Store) -> None:
    """All of a row is about the same picture."""
    rows = np.array([int(name.removesuffix(".png")) for name in store.names])
    assert (store.images == (rows % 251)[:, None, None, None]).all()
    np.testing.assert_array_equal(store.labels[:, 0], rows)
    np.testing.assert_array_equal(store.splits, rows % 3)
    np.testing.assert_array_equal(store.identities, rows + 1000)


def leftovers(data_dir: Path) -> list[Path]:
    return [path for path in data_dir.iterdir() if not path.name.endswith(".lock")]


def test_what_is_prepared_is_what_the_source_says(tmp_path):
    store = prepare(source(label_names=["row"], class_names={"row": ["a"]}), tmp_path / "new")
    assert store.images.shape == (40, 1, 8, 8)
    assert store.images.dtype == np.uint8
    assert_aligned(store)
    assert store.label_names == ["row"]
    assert store.class_names == {"row": ["a"]}
    assert store.meta["skipped"] == []
    np.testing.assert_array_equal(store.rows("val"), np.arange(1, 40, 3))
    assert store.labels.dtype == np.uint8  # the smallest that fits


def test_the_store_is_read_only(tmp_path):
    with pytest.raises(ValueError, match="read-only"):
        prepare(source(), tmp_path).images[0] = 0


def test_it_is_prepared_once(tmp_path):
    marks = tmp_path / "marks"
    for _ in range(2):
        prepare(source(reader=Counting(marks=marks)), tmp_path)
    assert marks.read_text() == "0\n"


@pytest.mark.parametrize(
    "change",
    [
        {"n": 41},
        {"size": 16},
        {"channels": 3},
        {"settings": {"crop": 108}},
        {"labels": np.zeros((40, 1), int)},
        {"label_names": ["other"]},
        {"splits": np.zeros(40, int)},
        {"identities": None},
        {"names": [f"{i}.jpg" for i in range(40)]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_content_is_another_store(change):
    assert source(**change).directory() != source().directory()


def test_a_store_does_not_depend_on_where_its_pictures_are():
    assert source(origin="here", notes=["x"]).directory() == source(origin="there").directory()


def test_bad_pictures_are_left_out_of_everything(tmp_path, caplog):
    bad = (0, 7, 8, 39)
    store = prepare(source(reader=Counting(bad)), tmp_path, max_bad_fraction=0.1)
    assert len(store) == 36
    assert_aligned(store)
    assert {picture["name"] for picture in store.meta["skipped"]} == {f"{i}.png" for i in bad}
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "4 of 40" in warnings[0].getMessage()
    assert "7.png (broken)" in warnings[0].getMessage()


def test_compacting_more_than_one_block(tmp_path, monkeypatch):
    monkeypatch.setattr("facegan.data.packing.store.BLOCK_BYTES", 5 * 64)
    bad = tuple(range(3, 40, 4))
    assert_aligned(prepare(source(reader=Counting(bad)), tmp_path, max_bad_fraction=0.5))


def test_too_many_bad_pictures_stop_it(tmp_path):
    with pytest.raises(InputError, match=r"2 of 40 .*max_bad_fraction=0\.01 .*3\.png \(broken\)"):
        prepare(source(reader=Counting((3, 5))), tmp_path)
    assert leftovers(tmp_path) == []


def test_too_many_bad_pictures_are_not_read_to_the_end(tmp_path):
    marks = tmp_path / "marks"
    with pytest.raises(InputError, match="2 of 40"):
        prepare(source(reader=Counting((3, 5), marks), chunk=10), tmp_path / "stores")
    assert marks.read_text() == "0\n"


def test_a_later_run_may_allow_fewer(tmp_path):
    spoiled = source(reader=Counting((3, 5)))
    prepare(spoiled, tmp_path, max_bad_fraction=0.1)
    with pytest.raises(InputError, match=r"max_bad_fraction=0\.01"):
        prepare(spoiled, tmp_path, max_bad_fraction=0.01)


@pytest.mark.parametrize("processes", [1, 2])
def test_workers_and_this_process_give_the_same(tmp_path, processes):
    store = prepare(source(600, Counting((5, 599))), tmp_path, processes=processes)
    assert len(store) == 598
    assert_aligned(store)


@pytest.mark.parametrize("n", [40, 600], ids=["in this process", "in workers"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, n):
    full = Failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(InputError, match=r"Not enough disk space .* set data_dir"):
        prepare(source(n, full), tmp_path, processes=2)
    assert leftovers(tmp_path) == []


def test_too_little_space_is_seen_before_anything_is_decoded(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match="Not enough disk space"):
        prepare(source(reader=Counting(marks=tmp_path / "marks")), tmp_path)
    assert not (tmp_path / "marks").exists()


def test_a_mistake_in_a_worker_arrives_here_and_says_where(tmp_path):
    with pytest.raises(ZeroDivisionError) as raised:
        prepare(source(600, Failing(ZeroDivisionError("oh"))), tmp_path, processes=2)
    assert "stand_ins.py" in raised.value.__notes__[0]
    assert leftovers(tmp_path) == []


def test_a_data_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="set data_dir"):
        prepare(source(), tmp_path / "file")


def test_a_damaged_store_says_what_to_do(tmp_path):
    store = prepare(source(), tmp_path)
    (store.path / "labels.npy").unlink()
    with pytest.raises(InputError, match="delete that directory"):
        prepare(source(), tmp_path)


def test_ctrl_c_leaves_nothing_half_made(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        prepare(source(reader=Failing(KeyboardInterrupt())), tmp_path)
    assert leftovers(tmp_path) == []


def test_no_more_workers_than_cpus(tmp_path, monkeypatch):
    """joblib counts: it honours affinity, cgroup quotas and this variable."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    pids = tmp_path / "pids"
    prepare(source(600, Pids(pids)), tmp_path)
    assert set(pids.read_text().split()) == {str(os.getpid())}


def test_workers_start_without_torch():
    code = "import sys, facegan.data.packing.readers; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=child_env())


PREPARE = """
import logging, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells may have it ignored
from pathlib import Path
from facegan.data.packing.store import prepare
from tests.data.stand_ins import Counting, source
logging.basicConfig(level=logging.INFO)
gate = Path(sys.argv[4]) if len(sys.argv) > 4 else None
reader = Counting(marks=Path(sys.argv[2]), pause=float(sys.argv[3]), gate=gate)
prepare(source(2000, reader), sys.argv[1], processes=2)
"""


def child_env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def start(data_dir: Path, marks: Path, pause: float = 0, *gate: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, *map(str, (data_dir, marks, pause, *gate))],
        env=child_env(),
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="uses POSIX signals")
@pytest.mark.parametrize("signal_", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_killed_and_run_again(tmp_path, signal_):
    data, marks = tmp_path / "data", tmp_path / "marks"
    process = start(data, marks, pause=0.3)
    wait_for(marks.exists)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    assert len(children) == 2
    process.send_signal(getattr(signal, signal_))
    process.communicate(timeout=30)
    assert process.returncode != 0
    wait_for(lambda: not any(Path("/proc", pid, "mem").exists() for pid in children))
    assert not list(data.glob("counting-*"))
    if signal_ == "SIGINT":
        assert leftovers(data) == []
    store = prepare(source(2000), data, processes=1)
    assert_aligned(store)
    assert leftovers(data) == [store.path]


@pytest.mark.slow
def test_two_processes_prepare_once(tmp_path):
    data, marks, gate = tmp_path / "data", tmp_path / "marks", tmp_path / "gate"
    with start(data, marks, 0, gate) as first:
        try:
            wait_for(marks.exists)
            with start(data, marks) as second:
                assert second.stderr is not None
                assert "waiting until it is done" in second.stderr.readline()
                gate.touch()
                second.communicate(timeout=60)
            first.communicate(timeout=60)
        finally:
            gate.touch()
    assert (first.returncode, second.returncode) == (0, 0)
    read = [int(line) for line in marks.read_text().split()]
    assert len(read) == len(set(read))  # nothing was read twice
    assert_aligned(prepare(source(2000), data))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="looks into /proc")
def test_a_dead_worker_is_reported_and_leaves_nothing(tmp_path):
    pids, data = tmp_path / "pids", tmp_path / "data"
    with pytest.raises(InputError, match=r"ended early \(status 3\)"):
        prepare(source(2000, Pids(pids, fatal=True)), data, processes=2)
    assert not any(Path("/proc", pid).exists() for pid in pids.read_text().split())
    assert leftovers(data) == []
