"""Signals, full disks and divergence during a training: exit status and checkpoints."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from facegan.gan.gan import GAN
from facegan.training.callbacks.progress import Throughput
from facegan.training.callbacks.samples import Samples
from tests.training.run_files import rows, state


@pytest.mark.parametrize(
    "signum", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
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
    # A shell starts what it runs in the background deaf to Ctrl-C, these tests perhaps.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status, output = train("callbacks=[progress]")
    finally:
        signal.signal(signal.SIGINT, before)
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
