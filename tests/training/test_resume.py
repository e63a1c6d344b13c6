"""Resuming and starting from checkpoints through the command line."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facegan import sample as sample_module
from facegan import train as train_module
from facegan.gan.gan import GAN
from tests.training.run_files import assert_equal, rows, state


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


CONDITIONS = {
    "attributes": ["condition=attributes", "condition.names=[Male,Smiling]"],
    "clusters": ["condition=clusters", "clustering.k=4", "condition.recluster=[1]"],
}


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_conditional_run_resumes_as_if_it_had_never_stopped(
    train, tmp_path: Path, condition: str, devices: int
):
    options = [*CONDITIONS[condition], f"trainer.devices={devices}"]
    assert train("trainer.max_epochs=3", *options)[0] == 0
    run = tmp_path / "run"
    run.rename(tmp_path / "whole")
    assert train("trainer.max_epochs=2", *options)[0] == 0
    status, output = train(f"resume={run}", "trainer.max_epochs=3")
    assert status == 0, output
    assert_equal(*(directory / "checkpoints/last.ckpt" for directory in (tmp_path / "whole", run)))
    status, output = train(f"resume={run}", "trainer.max_epochs=4", "condition=none")
    assert status == 2
    assert f"was trained with condition={condition}, this run has none" in output


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


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_starts_over(train, tmp_path: Path):
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
def test_a_run_resumed_with_other_data_is_evaluated_on_them(train, run, tmp_path: Path):
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
    assert f"Resuming {tmp_path}/run with" in output
    assert "trainer.max_epochs=2, model.lr_d=1e-4" in output


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
def test_a_table_with_only_a_header_is_continued(train, tmp_path: Path):
    assert train("trainer.max_epochs=1")[0] == 0
    path = tmp_path / "run" / "metrics.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2")
    assert status == 0, output
    assert {int(row["step"]) for row in rows(tmp_path / "run")} >= {80, 144}
