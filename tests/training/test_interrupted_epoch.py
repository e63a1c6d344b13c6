"""Runs interrupted in the middle of an epoch, by a signal or a time limit, and resumed."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from facegan import train as train_module
from facegan.gan.gan import GAN
from facegan.training.callbacks.progress import Throughput
from tests.shown import pixels
from tests.training.run_files import rows


@pytest.fixture
def interrupted(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was stopped after 4 of the 9 batches of its first epoch."""

    def interrupt(self: GAN, _: object, batch_idx: int) -> None:
        if batch_idx == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, _, batch_idx)

    step = GAN.training_step
    with monkeypatch.context() as patch:
        patch.setattr(GAN, "training_step", interrupt)
        assert train("trainer.max_epochs=2")[0] == 128 + signal.SIGTERM
    return tmp_path / "run"


@pytest.mark.slow
def test_an_epoch_is_finished_in_the_batches_it_was_begun_in(run, interrupted: Path):
    status, output = run(train_module, f"resume={interrupted}", "dataset.batch_size=16")
    assert status == 2, output
    assert "set dataset.global_batch_size=8" in output
    # What was refused has not become part of the run.
    status, output = run(train_module, f"resume={interrupted}")
    assert status == 0, output
    last = interrupted / "checkpoints" / "last.ckpt"
    assert GAN.load_from_checkpoint(last, weights_only=True).images_seen == 2 * 72


@pytest.mark.slow
def test_a_new_run_from_a_mid_epoch_checkpoint_of_other_data_sees_all_its_data(
    train, interrupted: Path, tmp_path: Path
):
    other = ["dataset.draw_seed=1", f"hydra.run.dir={tmp_path}/other", "trainer.max_epochs=1"]
    status, output = train(f"ckpt={interrupted}", *other)
    assert status == 0, output
    last = tmp_path / "other" / "checkpoints" / "last.ckpt"
    assert GAN.load_from_checkpoint(last, weights_only=True).images_seen == 4 * 8 + 72


@pytest.mark.slow
def test_max_time_starts_at_zero_when_a_run_is_resumed(train, tmp_path: Path):
    limit = "trainer.max_time=00:00:00:30"
    assert train("trainer.max_epochs=1", limit)[0] == 0
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["callbacks"]["Timer"]["time_elapsed"]["train"] = 3600.0
    torch.save(checkpoint, path)
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=3", limit)
    assert status == 0, output
    assert GAN.load_from_checkpoint(path, weights_only=True).images_seen == 3 * 72


@pytest.mark.slow
def test_a_run_whose_time_is_up_says_so(train, tmp_path: Path):
    status, output = train("trainer.max_epochs=500", "trainer.max_time=00:00:00:01")
    assert status == 0, output
    assert "The time is up (trainer.max_time): " in output
    samples = tmp_path / "run" / "samples"
    last = pixels(max(samples.glob("epoch_*.png")))
    height = last.shape[1] // 8
    assert np.array_equal(
        pixels(samples / "timeline.png")[-height:, -last.shape[1] :], last[:height]
    )


@pytest.mark.slow
def test_a_run_stopped_mid_epoch_by_its_time_limit_resumes_with_the_remaining_batches(
    train, tmp_path, monkeypatch
):
    def stop(callback: object, trainer: pl.Trainer, *_: object) -> None:
        trainer.should_stop = trainer.fit_loop.total_batch_idx + 1 >= 13

    with monkeypatch.context() as patch:
        patch.setattr(Throughput, "on_train_batch_end", stop)
        assert train("dataset.limit=64", "trainer.max_epochs=3")[0] == 0  # 8 batches an epoch
    status, output = train(f"resume={tmp_path}/run", "dataset.limit=64", "trainer.max_epochs=2")
    assert status == 0, output
    assert [int(row["step"]) for row in rows(tmp_path / "run") if row["loss/d"]] == [
        *range(8, 2 * 64 + 1, 8)
    ]


@pytest.mark.slow
def test_an_interrupted_epoch_resumes_with_the_images_it_had_not_seen(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[torch.Tensor] = []
    step = GAN.training_step

    def watch(self: GAN, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> None:
        seen.append(batch[0])
        if self.images_seen == 32:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, batch, batch_idx)

    monkeypatch.setattr(GAN, "training_step", watch)
    assert train("trainer.max_epochs=1", "dataset.flip=false")[0] == 128 + signal.SIGTERM
    assert train(f"resume={tmp_path}/run", "trainer.max_epochs=1")[0] == 0
    assert len(torch.cat(seen).unique(dim=0)) == 72  # every training image, none of them twice
    steps = [int(row["step"]) for row in rows(tmp_path / "run") if row["loss/d"]]
    assert steps == list(range(8, 73, 8))
