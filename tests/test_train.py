"""Whole tiny trainings through the command line: run directory, resuming, stopping."""

import csv
import errno
import json
import os
import re
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from facegan import sample as sample_module
from facegan import train as train_module
from facegan.gan.gan import GAN
from facegan.training.callbacks.progress import Throughput
from facegan.training.callbacks.samples import Samples


def rows(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def state(path: Path) -> dict[str, torch.Tensor]:
    """Networks, averages and both optimizers of a checkpoint, flat."""
    checkpoint = torch.load(path, weights_only=True)
    tensors = dict(checkpoint["state_dict"])
    for number, optimizer in enumerate(checkpoint["optimizer_states"]):
        for index, values in optimizer["state"].items():
            tensors |= {f"{number}.{index}.{name}": value for name, value in values.items()}
    tensors["images_seen"] = torch.tensor(checkpoint["images_seen"])
    return tensors


def assert_equal(one: Path, other: Path) -> None:
    a, b = state(one), state(other)
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different


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


def test_resuming_a_run_equals_never_having_stopped(train, tmp_path: Path):
    assert train("trainer.max_epochs=3")[0] == 0
    whole = tmp_path / "run"
    whole.rename(tmp_path / "whole")
    assert train("trainer.max_epochs=1")[0] == 0
    status, output = train(f"resume={whole}", "trainer.max_epochs=3")
    assert status == 0, output
    for name in ("checkpoints/last.ckpt",):
        assert_equal(tmp_path / "whole" / name, whole / name)
    for name in ("epoch_001.png", "epoch_003.png", "timeline.png", "reals.png"):
        one, other = (directory / "samples" / name for directory in (tmp_path / "whole", whole))
        assert np.array_equal(np.asarray(Image.open(one)), np.asarray(Image.open(other))), name

    def losses(run_dir: Path) -> list[tuple[str, str]]:
        return [(row["step"], row["loss/d"]) for row in rows(run_dir)]

    assert losses(whole) == losses(tmp_path / "whole")


@pytest.mark.slow
def test_a_checkpoint_starts_a_new_run_elsewhere(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    first = tmp_path / "run" / "checkpoints" / "last.ckpt"
    before = first.read_bytes()
    status, output = train(f"ckpt={first}", f"hydra.run.dir={tmp_path}/second")
    assert status == 0, output
    assert first.read_bytes() == before
    second = GAN.load_from_checkpoint(tmp_path / "second/checkpoints/last.ckpt", weights_only=True)
    assert second.images_seen == 72 + 144  # two epochs of its own


@pytest.mark.slow
def test_a_run_killed_between_its_best_and_its_last_checkpoint(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    last, best = (tmp_path / "run" / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    last.rename(best)
    (tmp_path / "run" / "result.json").unlink()
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2")
    assert status == 2
    assert "There is no checkpoint at" in output
    assert "resume.fallback=true" in output
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2", "resume.fallback=true")
    assert status == 0, output
    (tmp_path / "run" / "result.json").unlink()
    last.unlink()
    status, output = train("trainer.max_epochs=1")  # as if it were new
    assert status == 0, output


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
def test_a_run_from_a_checkpoint_amid_an_epoch_of_other_data_sees_all_of_its_own(
    train, interrupted: Path, tmp_path: Path
):
    other = ["dataset.draw_seed=1", f"hydra.run.dir={tmp_path}/other", "trainer.max_epochs=1"]
    status, output = train(f"ckpt={interrupted}", *other)
    assert status == 0, output
    last = tmp_path / "other" / "checkpoints" / "last.ckpt"
    assert GAN.load_from_checkpoint(last, weights_only=True).images_seen == 4 * 8 + 72


@pytest.mark.slow
def test_the_time_that_a_run_may_take_is_counted_anew(train, tmp_path: Path):
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
    assert (tmp_path / "run" / "samples" / "timeline.png").is_file()


@pytest.mark.slow
def test_a_run_whose_time_was_up_amid_an_epoch_has_the_rest_of_it(train, tmp_path, monkeypatch):
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


def test_where_there_are_no_locks_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fcntl = pytest.importorskip("fcntl")
    from facegan.run_dir import reserved

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with reserved(tmp_path), reserved(tmp_path):
        pass


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_starts_anew(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    for name in ("checkpoints/last.ckpt", "result.json"):
        (tmp_path / "run" / name).unlink()
    status, output = train("trainer.max_epochs=1")
    assert status == 0, output
    steps = [int(row["step"]) for row in rows(tmp_path / "run") if row["loss/d"]]
    assert steps == list(range(8, 73, 8))


@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_is_refused(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    ckpt = f"ckpt={tmp_path}/run"
    again = f"hydra.run.dir={tmp_path}/again"
    status, output = train(ckpt, again, "model.width_g=8")
    assert status == 2
    assert "model.width_g=4" in output
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=1")
    assert status == 2, output
    assert "has already had 1 epochs" in output


@pytest.mark.parametrize(
    "signum", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_a_signal_saves_and_the_run_goes_on(
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
    assert "SIGTERM came when the run had just had its last epoch" in output
    assert "objective" in json.loads((tmp_path / "sweep" / "0" / "result.json").read_text())
    assert not (tmp_path / "sweep" / "1").exists()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_run_without_checkpoints_does_not_end_well_on_a_signal(
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
def test_what_is_printed_can_be_pasted_whatever_the_path(train, run, tmp_path: Path):
    odd = tmp_path / "mein lauf=ü,(zwei)"
    status, output = train(f"hydra.run.dir='{odd}'", "trainer.max_epochs=1")
    assert status == 0, output
    (sample,) = (line for line in output.splitlines() if "facegan.sample" in line)
    status, output = run(sample_module, *shlex.split(sample)[3:])
    assert status == 0, output
    # As it is, without Hydra's quotes, too; and the file instead of the run.
    last = odd / "checkpoints" / "last.ckpt"
    status, output = run(train_module, f"resume={last}", "trainer.max_epochs=2")
    assert status == 0, output
    assert state(last)["images_seen"] == 2 * 72


@pytest.mark.slow
def test_a_run_within_the_directory_of_another_keeps_its_files(train, tmp_path: Path):
    assert train(f"hydra.run.dir={tmp_path}/outer/inner", "trainer.max_epochs=1")[0] == 0
    files = [path for path in (tmp_path / "outer" / "inner").rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in files}
    status, output = train(f"hydra.run.dir={tmp_path}/outer", "trainer.max_epochs=1")
    assert status == 0, output
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.slow
def test_a_run_that_goes_on_with_other_data_is_read_with_them(train, run, tmp_path: Path):
    from facegan import evaluate

    assert train("trainer.max_epochs=1")[0] == 0
    for number in range(40):
        pixels = np.full((16, 16, 3), number, np.uint8)
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    other = ["dataset=folder", f"dataset.root={tmp_path}/pictures", "trainer.max_epochs=2"]
    status, output = run(train_module, f"resume={tmp_path}/run", *other)
    assert status == 0, output
    options = ["n=10", "extractor.kind=pixels", "metrics=[kd]", "real=10"]
    status, output = run(evaluate, f"ckpt={tmp_path}/run", *options)
    assert status == 0, output
    assert "Data: folder" in output


@pytest.mark.slow
def test_an_epoch_that_was_interrupted_goes_on_with_the_images_it_had_not_seen(
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


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_the_one_before_used_if_asked(train, tmp_path: Path):
    options = ["callbacks.periodic.every_n_epochs=1", "trainer.max_epochs=2"]
    assert train(*options)[0] == 0
    checkpoints = tmp_path / "run" / "checkpoints"
    (checkpoints / "epoch_002.ckpt").unlink()
    whole = state(checkpoints / "last.ckpt")
    (checkpoints / "last.ckpt").write_bytes((checkpoints / "last.ckpt").read_bytes()[:5000])
    again = [f"resume={tmp_path}/run", "trainer.max_epochs=2"]
    status, output = train(*again)
    assert status == 2
    assert "last.ckpt is damaged" in output
    assert "epoch_001.ckpt, of 72 images, set resume.fallback=true" in output
    status, output = train(*again, "resume.fallback=true")
    assert status == 0, output
    repeated = state(checkpoints / "last.ckpt")
    assert all(torch.equal(whole[key], repeated[key]) for key in whole if "weight" in key)
    steps = [int(row["step"]) for row in rows(tmp_path / "run") if row["loss/d"]]
    assert steps == list(range(8, 145, 8))


@pytest.mark.slow
def test_changes_of_a_resumed_run_are_listed(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2", "model.lr_d=1e-4")
    assert status == 0, output
    assert f"Going on in {tmp_path}/run with" in output
    assert "trainer.max_epochs=2, model.lr_d=1e-4" in output


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


def test_a_global_batch_is_shared_by_the_devices(train, tmp_path: Path):
    status, output = train("dataset.global_batch_size=24", "trainer.max_epochs=1")
    assert status == 0, output
    assert "in batches of 24" in output
    assert [row["step"] for row in rows(tmp_path / "run") if row["loss/d"]] == ["24", "48", "72"]


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


@pytest.mark.slow
def test_compiled_networks_train_and_load_without_a_compiler(train, tmp_path: Path):
    status, output = train("model.compile=true", "trainer.max_epochs=1")
    assert status == 0, output
    plain = GAN.load_from_checkpoint(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert plain.images_seen == 72
    assert not [name for name in plain.state_dict() if "_orig_mod" in name]


@pytest.mark.slow
def test_resuming_by_a_relative_path_keeps_every_row(train, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("trainer.max_epochs=1", "hydra.run.dir=run")[0] == 0
    status, output = train("resume=run", "trainer.max_epochs=2", "objective.mode=least")
    assert status == 2, output  # refused, and nothing lost
    assert len(rows(tmp_path / "run")) >= 9
    status, output = train("resume=run", "trainer.max_epochs=2")
    assert status == 0, output
    steps = [int(row["step"]) for row in rows(tmp_path / "run") if row["loss/d"]]
    assert steps == list(range(8, 145, 8))


@pytest.mark.slow
def test_a_job_of_a_sweep_is_resumed_as_a_run(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    saved = tmp_path / "run" / ".hydra" / "overrides.yaml"
    saved.write_text(saved.read_text() + "- sweep=lr_grid\n- hydra.sweep.dir=x\n")
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2")
    assert status == 0, output
    assert state(tmp_path / "run" / "checkpoints" / "last.ckpt")["images_seen"] == 144


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


def test_a_mistyped_objective_is_noticed_before_training(train, tmp_path: Path):
    status, output = train("objective.metric=loss/D")
    assert status == 2
    assert "objective.metric=loss/D is not measured: loss/d, loss/g" in output
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.slow
def test_a_table_that_holds_a_header_alone_goes_on(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    path = tmp_path / "run" / "metrics.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2")
    assert status == 0, output
    assert {int(row["step"]) for row in rows(tmp_path / "run")} >= {80, 144}


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
