"""Two processes on the CPU: what every rank must agree on, and what it must not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from facegan import train
from facegan.files import read_csv
from tests.conftest import TINY, run_main

# Every rank writes what it saw beside the run. Python imports this by itself wherever it starts.
WATCH = """
import sys
import torch
from facegan.gan.gan import GAN

step = GAN.training_step
def watch(self, batch, batch_idx):
    if batch_idx == 0 and self.current_epoch == 0:
        state = torch.get_rng_state()
        z = torch.randn(8)
        torch.set_rng_state(state)
        self.seen = {"z": z, "real": batch[0].clone()}
    step(self, batch, batch_idx)

def report(self):
    weights = torch.cat([p.detach().flatten() for p in self.parameters()])
    torch.save({**self.seen, "weights": weights}, f"rank{self.global_rank}.pt")

GAN.training_step, GAN.on_train_end = watch, report
"""


@pytest.mark.slow
def test_two_ranks_see_other_data_and_latents_and_hold_the_same_weights(
    tmp_path: Path, data_dir: Path
):
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    path = os.pathsep.join([str(tmp_path / "watch"), *filter(None, sys.path)])
    clusters = ["clustering.k=3", "clustering.n=70", "clustering.generated=10"]
    overrides = [*TINY, *clusters, "trainer.devices=2", "hydra.run.dir=run"]
    overrides.append(f"data_dir={data_dir}")
    result = subprocess.run(
        [sys.executable, "-m", "facegan.train", *overrides],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    one, two = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert not torch.equal(one["z"], two["z"])
    both = torch.cat([one["real"], two["real"]]).flatten(1)
    assert len(both.unique(dim=0)) == len(both)
    assert torch.equal(one["weights"], two["weights"])

    run_dir = tmp_path / "run"
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["run", "watch"]
    checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["images_seen"] == 2 * 64  # 4 whole batches of 8 of each rank's 36 images
    assert int(read_csv(run_dir / "metrics.csv")[-1]["step"]) == 128
    assert result.stderr.count("Everything goes to") == 1

    # Clusters: read by both, found by one, known to both. Before training they are those of one
    # device, as the networks and the images are.
    alone = [*TINY, *clusters, "hydra.run.dir=alone", f"data_dir={data_dir}"]
    run_main(train, *alone, "trainer.max_epochs=1", at=tmp_path)
    together, by_one = (
        read_csv(tmp_path / name / "clusters" / "metrics.csv") for name in ("run", "alone")
    )
    assert [row["step"] for row in together] == ["0", "64", "128"]
    for name, value in by_one[0].items():
        if name not in ("seconds", "stability"):
            assert float(together[0][name]) == pytest.approx(float(value), rel=1e-4, abs=1e-4), name
    logged = [row for row in read_csv(run_dir / "metrics.csv") if row["clusters/inertia"]]
    assert [row["step"] for row in logged] == ["0", "64", "128"]


@pytest.mark.slow
def test_two_ranks_measure_the_quality_that_one_measures(tmp_path: Path, data_dir: Path):
    still = ["model.lr_g=1e-12", "model.lr_d=1e-12"]  # so that both have the same generator
    options = [*TINY, *still, "callbacks=[checkpoints,quality]", "quality.n=150"]
    options += ["trainer.max_epochs=1", "quality.metrics=[kd,prdc,swd]", f"data_dir={data_dir}"]
    for devices in (1, 2):
        more = [f"trainer.devices={devices}", f"hydra.run.dir={devices}"]
        run_main(train, *options, *more, at=tmp_path)
    (one,), (two,) = (read_csv(tmp_path / str(n) / "quality" / "metrics.csv") for n in (1, 2))
    for name in set(one) - {"seconds", "step"}:
        assert float(two[name]) == pytest.approx(float(one[name]), rel=1e-3, abs=1e-5), name
    assert (tmp_path / "2" / "checkpoints" / "best.ckpt").is_file()
    logged = read_csv(tmp_path / "2" / "metrics.csv")[-1]
    assert float(logged["quality/kd_pixels"]) == pytest.approx(float(two["kd_pixels"]))
