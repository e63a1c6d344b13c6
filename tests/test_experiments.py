"""Scripts of experiments that schedulers run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.composing import composed

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
SBATCH = EXPERIMENTS / "slurm" / "train.sbatch"


def test_a_stopped_task_of_slurm_is_requeued_by_its_own_number(tmp_path: Path):
    bash = shutil.which("bash")
    if bash is None or not SBATCH.is_file():
        pytest.skip("needs bash and a checkout")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    for name, body in {"srun": 'echo srun "$@"; exit $STATUS', "scontrol": 'echo "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": "/home/me"}
    environment |= {"SLURM_JOB_ID": "12", "SLURM_CPUS_PER_TASK": "4"}

    def said(status: int, **more: str) -> list[str]:
        done = subprocess.run(
            [bash, str(SBATCH), "model=rpgan"],
            cwd=tmp_path,
            env={**environment, "STATUS": str(status), **more},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        return done.stdout.splitlines()

    assert "--cpus-per-task=4" in said(0)[0]
    assert said(0)[0].endswith("model=rpgan")
    assert len(said(0)) == len(said(2)) == len(said(130)) == 1
    array = {"SLURM_ARRAY_JOB_ID": "10", "SLURM_ARRAY_TASK_ID": "3"}
    for status in (138, 140, 143):
        assert said(status)[1] == "requeue 12"
        assert said(status, **array)[1] == "requeue 10_3"
    assert "seed=3" in said(0, **array)[0]


def test_the_keys_of_the_search_by_wandb_agents_are_facegans():
    path = EXPERIMENTS / "sweep" / "wandb.yaml"
    if not path.is_file():
        pytest.skip("needs a checkout")
    search = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, values in search["parameters"].items():
        for value in values.get("values", [values.get("min")]):
            composed("config", f"{key}={value}", "run_dir=.")
    assert search["metric"]["name"] == composed("config", "run_dir=.").objective.metric
