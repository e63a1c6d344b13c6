"""Signals, full disks and divergence during a training: exit status and checkpoints."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facegan.errors import SIGNALS, InterruptedRun, interruptible
from facegan.gan.gan import GAN
from facegan.training.callbacks.progress import Throughput
from facegan.training.callbacks.samples import Samples
from tests.training.run_files import rows, state


@pytest.fixture(autouse=True)
def _none_ignored() -> Iterator[None]:
    """A shell starts what it runs in the background deaf to Ctrl-C, these tests perhaps."""
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


SLOW = [signal.SIGINT, signal.SIGUSR1, signal.SIGHUP]


@pytest.mark.parametrize(
    "signum",
    [signal.SIGTERM, signal.SIGUSR2, *(pytest.param(s, marks=pytest.mark.slow) for s in SLOW)],
)
def test_a_signal_saves_and_the_run_can_be_resumed(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
):
    def interrupt(self: Samples, *_: object) -> None:
        os.kill(os.getpid(), signum)  # during the callbacks after epoch 1

    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    with monkeypatch.context() as patch:
        patch.setattr(Samples, "on_train_epoch_end", interrupt)
        status, output = train("trainer.max_epochs=3")
    assert status == 128 + signum
    assert f"Stopped by {signum.name} after 72 images" in output  # where epoch 2 starts
    assert "Traceback" not in output
    assert handlers == {s: signal.getsignal(s) for s in handlers}

    run_dir = tmp_path / "run"
    assert re.search(rf"resume={run_dir}", output)
    status, output = train(f"resume={run_dir}", "trainer.max_epochs=3")
    assert status == 0, output
    assert state(run_dir / "checkpoints/last.ckpt")["images_seen"] == 3 * 72
    steps = [int(row["step"]) for row in rows(run_dir) if row["loss/d"]]
    assert steps == list(range(8, 3 * 72 + 1, 8))  # none lost, none twice


def sent(monkeypatch: pytest.MonkeyPatch, *signums: int) -> None:
    """Send signals during the callbacks after epoch 1."""

    def interrupt(self: Throughput, *_: object) -> None:
        if not done:
            done.append(True)
            for signum in signums:
                os.kill(os.getpid(), signum)

    done: list[bool] = []
    monkeypatch.setattr(Throughput, "on_train_epoch_end", interrupt)


CHECKPOINTS = "callbacks=[checkpoints,progress]"


@pytest.mark.parametrize("signum", [signal.SIGUSR2, signal.SIGTERM])
def test_a_handler_that_was_there_is_called_after_saving(
    train, tmp_path: Path, monkeypatch, signum: signal.Signals
):
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    found: list[tuple[int, bool]] = []
    signal.signal(signum, lambda number, _: found.append((number, last.is_file())))
    sent(monkeypatch, signum)
    late = [f"callbacks.{name}.every_n_epochs=9" for name in ("last", "periodic")]
    assert train(CHECKPOINTS, "trainer.max_epochs=9", *late)[0] == 128 + signum
    assert found == [(signum, True)]
    assert callable(signal.getsignal(signum))


def test_a_handler_that_exits_decides_the_status(train, monkeypatch):
    """submitit's does so once it has requeued the job."""
    signal.signal(signal.SIGUSR2, lambda *_: sys.exit(77))
    sent(monkeypatch, signal.SIGUSR2)
    assert train(CHECKPOINTS)[0] == 77


def test_a_signal_that_is_ignored_stays_ignored(train, monkeypatch):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    sent(monkeypatch, signal.SIGHUP)
    status, output = train(CHECKPOINTS)
    assert status == 0, output
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_signals_that_come_in_turn_do_not_spoil_the_checkpoint(train, tmp_path, monkeypatch):
    """SLURM sends SIGTERM after its warning, a session that ends SIGHUP after SIGTERM."""
    sent(monkeypatch, signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP)
    status, output = train(CHECKPOINTS)
    assert status == 128 + signal.SIGUSR1
    assert "Stopped by SIGUSR1 after 72 images" in output


@pytest.mark.parametrize("signums", [(signal.SIGTERM,) * 2, (signal.SIGHUP, signal.SIGINT)])
def test_the_same_signal_again_or_an_interrupt_stops_at_once(train, monkeypatch, signums):
    sent(monkeypatch, *signums)
    status, output = train(CHECKPOINTS)
    assert status == 128 + signal.SIGINT
    assert "not all of them saved" in output


@pytest.mark.parametrize(
    ("status", "signum"),
    [(0, signal.SIGTERM), (143, signal.SIGTERM), (1, signal.SIGINT), (130, signal.SIGINT)],
)
def test_the_exit_statuses_of_lightning_are_understood(status: int, signum: signal.Signals):
    with pytest.raises(InterruptedRun) as stopped, interruptible(lambda: "all is lost"):
        sys.exit(status)
    assert stopped.value.exit_code == 128 + signum


def test_another_exit_status_is_left_alone():
    with pytest.raises(SystemExit) as left, interruptible(str):
        sys.exit(-1)
    assert left.value.code == -1


def test_a_job_started_again_whose_run_is_done_ends_well(train, monkeypatch, tmp_path: Path):
    assert train("callbacks=[checkpoints]")[0] == 0
    kept = (tmp_path / "run" / "metrics.csv").read_bytes()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    status, output = train("callbacks=[checkpoints]")
    assert status == 0, output
    assert f"Done: the run in {tmp_path}/run has had all its epochs." in output
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == kept


@pytest.mark.slow
def test_a_signal_in_the_last_epoch_ends_what_would_follow(train, tmp_path: Path, monkeypatch):
    def interrupt(self: Samples, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Samples, "on_train_epoch_end", interrupt)
    sweep = ["-m", "seed=1,2", "objective.metric=loss/d", f"hydra.sweep.dir={tmp_path}/sweep"]
    status, output = train("trainer.max_epochs=1", *sweep)
    assert status == 128 + signal.SIGTERM
    assert "SIGTERM came after the last epoch" in output
    assert "objective" in json.loads((tmp_path / "sweep" / "0" / "result.json").read_text())
    assert not (tmp_path / "sweep" / "1").exists()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_run_without_checkpoints_exits_with_the_status_of_a_signal(
    train, tmp_path: Path, monkeypatch, signum: signal.Signals
):
    def interrupt(self: Throughput, *_: object) -> None:
        os.kill(os.getpid(), signum)

    monkeypatch.setattr(Throughput, "on_train_epoch_end", interrupt)
    status, output = train("callbacks=[progress]")
    assert status == 128 + signum
    assert f"Stopped by {signum.name}: 72 images seen, and not all of them saved." in output


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_good_checkpoint(train, tmp_path: Path):
    resource = pytest.importorskip("resource")
    assert train("trainer.max_epochs=1", "callbacks=[checkpoints]")[0] == 0
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    good = last.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, before[1]))
    try:
        status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert status != 0
    assert f"The checkpoint {last} cannot be written" in output
    assert "Traceback" not in output
    assert last.read_bytes() == good
    assert [path.name for path in last.parent.iterdir()] == ["last.ckpt"]
    assert train(f"resume={tmp_path}/run", "trainer.max_epochs=2")[0] == 0


@pytest.mark.slow
def test_divergence_keeps_the_last_good_checkpoint(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert train("trainer.max_epochs=1")[0] == 0
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    good = last.read_bytes()
    original = GAN.loss_g
    monkeypatch.setattr(GAN, "loss_g", lambda self, *args: original(self, *args) * float("nan"))
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=3")
    assert status == 1
    assert "The loss became non-finite at training step 10 (epoch 2" in output
    assert "Traceback" not in output
    assert last.read_bytes() == good
