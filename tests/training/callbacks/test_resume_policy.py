"""What a run that starts deletes in its directory."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from facegan.errors import InputError
from facegan.files import append_csv, read_csv
from facegan.training.callbacks.resume_policy import ResumePolicy
from facegan.training.callbacks.samples import Samples


def start(run_dir: Path, resumed: bool, images_seen: int) -> list[str]:
    """Start a training in ``run_dir``; returns what is left in ``samples``."""
    samples = run_dir / "samples"
    samples.mkdir()
    for name in ("epoch_001.png", "epoch_1000.png", "epoch_last.png", "reals.png"):
        (samples / name).touch()
    for step in (64, 128):
        append_csv(run_dir / "metrics.csv", {"step": step, "loss/d": 1.0})
    trainer: Any = SimpleNamespace(callbacks=[Samples(str(samples))])
    module = SimpleNamespace(images_seen=images_seen)
    recorded: list[bool] = []
    policy = ResumePolicy(str(run_dir), resumed, lambda: recorded.append(True))
    policy.on_train_start(trainer, module)
    assert recorded == [True]
    return sorted(path.name for path in samples.iterdir())


def test_a_run_that_starts_over_deletes_its_rows_and_pictures(tmp_path: Path):
    left = start(tmp_path, resumed=True, images_seen=0)
    assert left == ["epoch_last.png", "reals.png"]
    assert read_csv(tmp_path / "metrics.csv") == []


def test_a_resumed_run_deletes_what_it_writes_again(tmp_path: Path):
    assert len(start(tmp_path, resumed=True, images_seen=64)) == 4
    assert [row["step"] for row in read_csv(tmp_path / "metrics.csv")] == ["64"]


def test_a_new_run_from_a_checkpoint_keeps_no_rows(tmp_path: Path):
    start(tmp_path, resumed=False, images_seen=64)
    assert read_csv(tmp_path / "metrics.csv") == []


@pytest.mark.parametrize("others", [True, False])
@pytest.mark.parametrize("resumed", [True, False])
def test_all_machines_resume_or_none(tmp_path: Path, resumed: bool, others: bool):
    def decision(own: bool, all: bool) -> bool:  # of two ranks
        return (own and others) if all else (own or others)

    trainer = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=decision))
    policy = ResumePolicy(str(tmp_path), resumed, record=lambda: None)
    if resumed == others:
        policy.setup(trainer, None, "fit")
        return
    with pytest.raises(InputError, match="Only some of the machines have a checkpoint in"):
        policy.setup(trainer, None, "fit")
