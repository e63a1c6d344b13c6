"""What the parent of several ranks does with signals, reports and failures."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from facegan.errors import InputError, InterruptedRun
from facegan.launch import processes
from facegan.launch.processes import PEERS_LOST, RankError, run_ranks

# In place of the training: Python imports this by itself in every rank.
RANK = """
import os, pathlib, signal, sys, time
if "FACEGAN_JOB" in os.environ:
    rank = int(os.environ["LOCAL_RANK"])
    from facegan.launch.processes import report_failure
    here = pathlib.Path({directory!r})
    exec({body!r})
    os._exit(0)
"""


@pytest.fixture
def ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``ranks(body)`` runs two ranks that execute ``body``, with little patience."""
    monkeypatch.setattr(processes, "PATIENCE", 0.5)

    def start(body: str) -> None:
        text = RANK.format(directory=str(tmp_path), body=body)
        (tmp_path / "sitecustomize.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
        run_ranks("seed: 0", 2)

    return start


def signal_when_ready(directory: Path, times: int = 1) -> threading.Thread:
    def send() -> None:
        while not all((directory / f"ready{rank}").exists() for rank in (0, 1)):
            time.sleep(0.05)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


LEAVE = """
def leave(signum, frame):
    if rank == 0:
        time.sleep({seconds})
        (here / "uploaded").touch()
    report_failure("Stopped.", 143)
    os._exit(143)
signal.signal(signal.SIGTERM, leave)
(here / f"ready{{rank}}").touch()
time.sleep(60)
"""


def test_a_rank_gets_as_long_as_it_needs_after_a_signal(ranks, tmp_path: Path):
    sender = signal_when_ready(tmp_path)
    with pytest.raises(InterruptedRun) as stopped:
        ranks(LEAVE.format(seconds=1))
    sender.join()
    assert stopped.value.exit_code == 143
    assert (tmp_path / "uploaded").exists()


def test_a_second_signal_ends_a_rank_at_once(ranks, tmp_path: Path):
    sender = signal_when_ready(tmp_path, times=2)
    with pytest.raises(InterruptedRun):
        ranks(LEAVE.format(seconds=60))
    sender.join()
    assert not (tmp_path / "uploaded").exists()


def test_the_sentence_and_status_of_a_rank_are_raised(ranks):
    body = "if rank == 1: report_failure('model.k is wrong.', 2); os._exit(2)\ntime.sleep(60)"
    with pytest.raises(InputError, match=r"^model\.k is wrong\.$"):
        ranks(body)


def test_a_failure_explains_more_than_lost_peers(ranks):
    body = f"""
if rank == 0: report_failure('connection reset', {PEERS_LOST}); os._exit({PEERS_LOST})
report_failure('The disk is full.', 1); os._exit(1)"""
    with pytest.raises(Exception, match=r"^The disk is full\.$"):
        ranks(body)


def test_lost_peers_without_a_reason_are_reported(ranks):
    body = f"report_failure('connection reset', {PEERS_LOST}); os._exit({PEERS_LOST})"
    with pytest.raises(RankError, match="2 processes could not reach each other: connection reset"):
        ranks(body)


def test_ranks_share_the_cpus_of_a_container(ranks, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("joblib.cpu_count", lambda: 6)
    ranks("(here / f'threads{rank}').write_text(os.environ['OMP_NUM_THREADS'])")
    assert [(tmp_path / f"threads{rank}").read_text() for rank in (0, 1)] == ["3", "3"]
