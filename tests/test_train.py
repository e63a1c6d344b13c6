"""Whole tiny trainings through the command line: run directory, loggers, devices, objective."""

import json
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from facegan.gan.gan import GAN
from facegan.training.callbacks.progress import Throughput
from tests.training.run_files import assert_equal, rows, state


def test_a_run_directory_holds_everything(train, tmp_path: Path):
    status, output = train("callbacks=default", "callbacks.periodic.every_n_epochs=1")
    assert status == 0, output
    run_dir = tmp_path / "run"
    files = {str(p.relative_to(run_dir)) for p in run_dir.rglob("*") if p.is_file()}
    assert {
        ".hydra/config.yaml",
        ".hydra/overrides.yaml",
        "train.log",
        "metrics.csv",
        "checkpoints/last.ckpt",
        "checkpoints/epoch_001.ckpt",
        "checkpoints/epoch_002.ckpt",
        "samples/reals.png",
        "samples/epoch_000.png",
        "samples/epoch_001.png",
        "samples/epoch_002.png",
        "samples/timeline.png",
    } <= files
    assert not [name for name in files if "partial" in name]
    for hint in ("timeline.png", "last.ckpt", "metrics.csv", "facegan.sample ckpt="):
        assert hint in output
    assert (run_dir / "train.log").read_text()

    table = rows(run_dir)
    steps = [int(row["step"]) for row in table]
    assert steps == sorted(steps)
    assert steps[-1] == 144  # 72 training images, twice: images, not optimizer steps
    assert {"loss/d", "loss/g", "score/real", "score/fake", "speed/images_per_second"} <= set(
        table[0]
    )
    assert_equal(run_dir / "checkpoints/last.ckpt", run_dir / "checkpoints/epoch_002.ckpt")


@pytest.mark.slow
def test_the_timeline_shows_the_first_row_of_the_grids(train, tmp_path: Path):
    train("trainer.max_epochs=4")
    samples = tmp_path / "run" / "samples"
    sheet = np.asarray(Image.open(samples / "timeline.png"))
    grids = [np.asarray(Image.open(samples / f"epoch_00{n}.png")) for n in (0, 1, 2, 4)]
    height = sheet.shape[0] // 4
    for row, grid in enumerate(grids):
        strip = sheet[row * height : (row + 1) * height, -grid.shape[1] :]
        assert np.array_equal(strip, grid[:height])


def test_the_last_step_of_a_run_is_shown_however_rarely_others_are(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def as_on_a_gpu(gan: GAN) -> bool:
        return (gan.trainer.fit_loop.total_batch_idx + 1) % 3 == 0 or gan.trainer.is_last_batch

    def stop(callback: object, trainer: pl.Trainer, *_: object) -> None:
        trainer.should_stop = trainer.fit_loop.total_batch_idx + 1 >= 13

    monkeypatch.setattr(GAN, "should_log", as_on_a_gpu)
    monkeypatch.setattr(Throughput, "on_train_batch_end", stop)
    more = ["dataset.limit=64", "trainer.log_every_n_steps=3", "trainer.max_epochs=9"]
    status, output = train(*more, "callbacks=[checkpoints,progress]", "objective.metric=loss/d")
    assert status == 0, output
    # Batches of 8 images: every third step, and the thirteenth, after which it is told to stop.
    shown = [row for row in rows(tmp_path / "run") if row["loss/d"]]
    assert [int(row["step"]) // 8 for row in shown] == [3, 6, 9, 12, 13]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["objective"] is not None


def test_a_global_batch_is_shared_by_the_devices(train, tmp_path: Path):
    status, output = train("dataset.global_batch_size=24", "trainer.max_epochs=1")
    assert status == 0, output
    assert "in batches of 24" in output
    assert [row["step"] for row in rows(tmp_path / "run") if row["loss/d"]] == ["24", "48", "72"]


def test_no_callbacks_and_no_logger(train, tmp_path: Path):
    status, output = train("callbacks=none", "logger=none")
    assert status == 0, output
    files = {p.name for p in (tmp_path / "run").rglob("*") if p.is_file()}
    configuration = {"config.yaml", "hydra.yaml", "overrides.yaml"}
    assert files - {".lock"} == configuration | {"train.log", "result.json"}


@pytest.mark.slow
def test_tensorboard_has_numbers_and_pictures_at_images_seen(train, tmp_path: Path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert train("logger=tensorboard", "callbacks.periodic.every_n_epochs=1")[0] == 0
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/d")][-1] == 144
    assert [event.step for event in events.Images("samples")] == [0, 72, 144]

    # Of a run that was killed after its checkpoint: what came after it is written anew.
    last, early = (tmp_path / "run" / "checkpoints" / f"{n}.ckpt" for n in ("last", "epoch_001"))
    early.replace(last)
    status, output = train(f"resume={tmp_path}/run")
    assert status == 0, output
    events.Reload()
    steps = [event.step for event in events.Scalars("loss/d")]
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_wandb_records_offline_without_a_key(train, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    status, output = train("logger=[csv,wandb]", "trainer.max_epochs=1")
    assert status == 0, output
    assert "offline" in output
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))
    assert (tmp_path / "run" / "metrics.csv").exists()


@pytest.mark.slow
def test_a_multirun_makes_one_directory_for_each_job(train, tmp_path: Path):
    status, output = train(
        "seed=1,2",
        "trainer.max_epochs=1",
        f"hydra.sweep.dir={tmp_path}/s",
        "-m",
        "objective.metric=loss/g",
    )
    assert status == 0, output
    assert sorted(p.name for p in (tmp_path / "s").iterdir() if p.is_dir()) == ["0", "1"]
    one, two = (state(tmp_path / "s" / job / "checkpoints" / "last.ckpt") for job in "01")
    assert not torch.equal(one["fixed_z"], two["fixed_z"])


def test_debug_overfit_uses_a_handful_of_images(train):
    status, output = train("debug=overfit", "trainer.max_epochs=1", "dataset.limit=16")
    assert status == 0, output
    assert "16 training images" in output


def test_debug_profile_prints_where_the_time_goes(train):
    status, output = train("debug=profile", "callbacks=none", "trainer.max_epochs=1")
    assert status == 0, output
    assert "run_training_epoch" in output.partition("Profiler Report")[2]


@pytest.mark.slow
@pytest.mark.filterwarnings(r"ignore:The \.grad attribute of a Tensor that is not a leaf")  # dynamo
def test_compiled_networks_train_and_load_without_a_compiler(train, tmp_path: Path):
    few = ["callbacks=[checkpoints]", "trainer.max_epochs=1", "trainer.limit_train_batches=2"]
    status, output = train("model.compile=true", *few)
    assert status == 0, output
    plain = GAN.load_from_checkpoint(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert plain.images_seen == 16
    assert not [name for name in plain.state_dict() if "_orig_mod" in name]


@pytest.mark.slow
def test_the_objective_is_of_this_run_alone(train, tmp_path: Path):
    assert train("trainer.max_epochs=2", "objective.metric=loss/d")[0] == 0
    first = json.loads((tmp_path / "run" / "result.json").read_text())
    again = [f"hydra.run.dir={tmp_path}/second", "trainer.max_epochs=3"]
    status, output = train(f"ckpt={tmp_path}/run", *again, "objective.metric=loss/d")
    assert status == 0, output
    second = json.loads((tmp_path / "second" / "result.json").read_text())
    assert second["epoch"] <= 3
    assert second["objective"] != first["objective"]


def test_a_mistyped_objective_is_refused_before_training(train, tmp_path: Path):
    status, output = train("objective.metric=loss/D")
    assert status == 2
    assert "objective.metric=loss/D is not measured: loss/d, loss/g" in output
    assert not (tmp_path / "run" / "checkpoints").exists()
