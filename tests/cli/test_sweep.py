"""Sweeps: their jobs, what becomes of failed ones, and the leaderboard."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from facegan.files import read_csv
from facegan.pages.leaderboard import last_samples
from tests.conftest import TINY
from tests.shown import bars_in, pixels

Train = Callable[..., tuple[int, str]]

SHORT = [*TINY, "trainer.max_epochs=1", "callbacks=[checkpoints,samples]"]
OBJECTIVE = ["objective.metric=loss/g", "hydra.sweep.dir=sweep"]


def sweep(tmp_path: Path, data_dir: Path, *overrides: str, expected: int = 0) -> str:
    """In a process of its own, as Hydra keeps state in the one it runs in."""
    command = [sys.executable, "-m", "facegan.train", *SHORT, *OBJECTIVE, f"data_dir={data_dir}"]
    done = subprocess.run(
        [*command, *overrides],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    output = done.stdout + done.stderr
    assert done.returncode == expected, output
    return output


def jobs(tmp_path: Path) -> dict[str, dict[str, str]]:
    return {row["job"]: row for row in read_csv(tmp_path / "sweep" / "leaderboard.csv")}


@pytest.mark.slow
def test_jobs_of_two_devices_have_their_own_overrides_and_one_sweep_directory(
    tmp_path: Path, data_dir: Path
):
    sweep(tmp_path, data_dir, "-m", "model.latent_dim=8,9", "trainer.devices=2")
    assert [path.name for path in tmp_path.iterdir()] == ["sweep"]
    numbered = sorted(p.name for p in (tmp_path / "sweep").iterdir() if p.is_dir())
    assert numbered == ["0", "1"]
    for number, latent_dim in (("0", 8), ("1", 9)):
        path = tmp_path / "sweep" / number / "checkpoints" / "last.ckpt"
        saved = torch.load(path, weights_only=True)
        assert saved["hyper_parameters"]["latent_dim"] == latent_dim
        assert saved["images_seen"] == 64  # 4 batches of 8 on two devices
        assert saved["state_dict"]["fixed_z"].shape[1] == latent_dim
    assert {row["model.latent_dim"] for row in jobs(tmp_path).values()} == {"8", "9"}


@pytest.mark.slow
def test_a_sweep_over_the_data_has_one_directory_and_leaderboard(tmp_path: Path, data_dir: Path):
    varied = ["-m", "dataset.name=one,other", "hydra.sweep.dir=runs/x/sweep_${run_name:}"]
    sweep(tmp_path, data_dir, *varied)
    (directory,) = (tmp_path / "runs").iterdir()
    assert directory.name.startswith("sweep_")
    rows = read_csv(directory / "leaderboard.csv")
    assert {row["dataset.name"] for row in rows} == {"one", "other"}
    assert {Path(row["run_dir"]).parent.name for row in rows} == {directory.name}


@pytest.mark.slow
def test_a_failed_job_does_not_end_the_others_and_is_listed(tmp_path: Path, data_dir: Path):
    output = sweep(tmp_path, data_dir, "-m", "model.accumulate=0,1,2", expected=2)
    found = jobs(tmp_path)
    assert found["0"]["error"].startswith("model.accumulate must be a whole number")
    assert found["1"]["error"] == found["2"]["error"] == ""
    assert {found["1"]["place"], found["2"]["place"]} == {"1", "2"}
    assert "3 jobs, 1 of them failed" in output
    assert "Traceback" not in output
    assert bars_in(tmp_path / "sweep" / "leaderboard.png") == 2
    best_first = sorted(("1", "2"), key=lambda job: found[job]["place"])
    strips = np.split(pixels(tmp_path / "sweep" / "samples.png"), 2)
    for job, strip in zip(best_first, strips, strict=True):
        faces = np.asarray(last_samples(tmp_path / "sweep" / job))
        assert np.array_equal(strip[:, -faces.shape[1] :], faces)


@pytest.mark.slow
def test_a_job_that_is_refused_leaves_the_run_that_is_there_alone(tmp_path: Path, data_dir: Path):
    options = ["-m", "model.latent_dim=8,9", "hydra.sweep.subdir=0"]
    output = sweep(tmp_path, data_dir, *options, expected=2)
    assert "holds a run already" in output
    directory = tmp_path / "sweep" / "0"
    result = json.loads((directory / "result.json").read_text())
    assert result["objective"] is not None
    assert "error" not in result
    assert "model.latent_dim=8" in (directory / ".hydra" / "overrides.yaml").read_text()


@pytest.mark.slow
def test_an_unexpected_error_is_listed_too(tmp_path: Path, data_dir: Path):
    (tmp_path / "broken.py").write_text(BROKEN)
    broken = "+callbacks.broken._target_=broken.Broken"
    output = sweep(tmp_path, data_dir, "-m", "model.latent_dim=8,9", broken, expected=2)
    assert [row["error"] for row in jobs(tmp_path).values()] == ["RuntimeError: out of memory"] * 2
    assert "2 jobs, 2 of them failed" in output


BROKEN = """
import pytorch_lightning as pl

class Broken(pl.Callback):
    def on_train_start(self, *_):
        raise RuntimeError("out of memory")
"""


@pytest.mark.slow
def test_a_search_without_any_success_ends_in_a_sentence(tmp_path: Path, data_dir: Path):
    pytest.importorskip("optuna")
    search = ["sweep=optuna", "hydra.sweeper.n_trials=1", "objective.metric=other/x"]
    output = sweep(tmp_path, data_dir, *search, expected=2)
    assert "None of the sweep's 1 jobs succeeded: The objective other/x was never logged" in output
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_search_continues_where_it_ended(tmp_path: Path, data_dir: Path, devices: int):
    pytest.importorskip("optuna")
    search = ["sweep=optuna", f"trainer.devices={devices}", "model.width_d=4"]
    sweep(tmp_path, data_dir, *search, "hydra.sweeper.n_trials=2")
    if devices == 1:
        output = sweep(tmp_path, data_dir, *search, "hydra.sweeper.n_trials=1")
        assert set(jobs(tmp_path)) == {"0", "1", "2"}
        assert "python -m facegan.train model.lr_g=" in output
        assert "sweep=optuna" not in output.split("Its command was:")[1].splitlines()[1]
    rows = jobs(tmp_path).values()
    assert len({row["model.lr_g"] for row in rows}) == len(rows)
    for row in rows:  # what the ranks trained with is what the search has asked for
        saved = torch.load(tmp_path / row["run_dir"] / "checkpoints/last.ckpt", weights_only=True)
        assert saved["hyper_parameters"]["lr_g"] == float(row["model.lr_g"])


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_at_once(tmp_path: Path, data_dir: Path, launcher: str):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
    options = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    sweep(tmp_path, data_dir, "-m", f"hydra/launcher={launcher}", *options, "seed=1,2")
    assert {row["error"] for row in jobs(tmp_path).values()} == {""}
    assert set(jobs(tmp_path)) == {"0", "1"}


@pytest.mark.slow
def test_an_objective_that_is_not_measured_fails_the_job(tmp_path: Path, data_dir: Path):
    output = sweep(tmp_path, data_dir, "-m", "seed=1", "objective.metric=other/x", expected=2)
    assert "The objective other/x was never logged" in output
    assert jobs(tmp_path)["0"]["error"].startswith("The objective other/x was never logged")
    metric = "objective.metric=quality/kd_pixels"
    output = sweep(tmp_path, data_dir, "-m", "seed=1", metric, expected=2)
    assert "is not measured without the callback quality" in output


def test_a_run_says_how_it_ended(train: Train, tmp_path: Path):
    status, output = train("objective.metric=loss/d")
    assert status == 0, output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    rows = [float(r["loss/d"]) for r in read_csv(tmp_path / "run" / "metrics.csv") if r["loss/d"]]
    assert result["objective"] in [pytest.approx(row, rel=1e-5) for row in rows]
    assert (result["images"], result["metric"]) == (144, "loss/d")


@pytest.mark.slow
def test_weights_and_biases_has_a_run_for_each_job_in_one_group(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    begun: list[tuple[str, str]] = []
    init = wandb.init

    def watch(**options):
        begun.append((options["group"], options["id"]))
        return init(**options)

    monkeypatch.setattr(wandb, "init", watch)
    status, output = train(
        "-m",
        "seed=1,2",
        "trainer.max_epochs=1",
        "logger=wandb",
        "objective.metric=loss/g",
        f"hydra.sweep.dir={tmp_path}/my_sweep",
    )
    assert status == 0, output
    groups, ids = zip(*begun, strict=True)
    assert groups == ("my_sweep", "my_sweep")
    assert len(set(ids)) == 2
    for job, own in zip("01", ids, strict=True):
        (kept,) = (tmp_path / "my_sweep" / job / "wandb").glob("offline-run-*")
        assert kept.name.endswith(own)


def test_the_reason_of_an_early_end_is_not_hidden(tmp_path: Path):
    """An interrupt before the first job has written anything: there is no leaderboard yet."""
    from omegaconf import OmegaConf

    from facegan.cli.sweep import SweepStart, concluded

    def interrupted() -> None:
        config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path / "sweep")}}})
        with concluded():
            SweepStart().on_multirun_start(config)
            (tmp_path / "sweep" / "0").mkdir(parents=True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
