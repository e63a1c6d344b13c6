"""Tiny networks on tiny drawn faces: a training takes a second."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest

# More threads would only wait for each other in networks this small; also in processes of tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TINY = [
    "dataset.n=80",
    "dataset.image_size=16",
    "dataset.batch_size=8",
    "model.width_g=4",
    "model.width_d=4",
    "model.latent_dim=8",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed data shared by all tests: drawn once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def _far_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Relative paths and environment variables of the developer have no part in a test."""
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ):  # Lightning's Trainer leaves LOCAL_RANK and the like behind
        for name in ("FACEGAN_DATA", "HYDRA_FULL_ERROR", "WANDB_MODE", "WANDB_API_KEY"):
            os.environ.pop(name, None)
        os.environ["WANDB_SILENT"] = "true"
        yield


def run_main(module: ModuleType, *arguments: str, at: Path) -> None:
    """Run an entry point in this process, in the directory ``at``; it has to succeed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module.__name__, *arguments])
        patch.chdir(at)
        module.main()


@pytest.fixture
def run(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run an entry point in this process: ``run(module, *overrides) -> (exit status, output)``."""

    def call(module: ModuleType, *overrides: str) -> tuple[int, str]:
        arguments = [f"data_dir={data_dir}"] if module.__name__ == "facegan.train" else []
        argv = [module.__name__, *arguments, *overrides]
        monkeypatch.setattr(sys, "argv", argv)
        capfd.readouterr()
        status = 0
        try:
            module.main()
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else 1
        out, err = capfd.readouterr()
        return status, out + err

    return call


@pytest.fixture
def train(run: Callable[..., tuple[int, str]], tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """``train(*overrides)``: a tiny training in ``tmp_path/run``, by default without clusters.

    Drawing them takes as long as the training.
    """
    from facegan import train as module

    def call(*overrides: str) -> tuple[int, str]:
        chosen = any(override.startswith(("callbacks=", "resume=")) for override in overrides)
        callbacks = [] if chosen else ["callbacks=[checkpoints,samples,progress]"]
        return run(module, *TINY, *callbacks, f"hydra.run.dir={tmp_path}/run", *overrides)

    return call


@pytest.fixture(scope="session")
def finished_run(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that has ended, with 180 images in train, 10 in val, 10 in test: only to read."""
    from facegan import train as module

    directory = tmp_path_factory.mktemp("finished")
    more = ["dataset.n=200", "trainer.max_epochs=1", "callbacks=[checkpoints]"]
    run_main(module, *TINY, *more, f"data_dir={data_dir}", "hydra.run.dir=run", at=directory)
    return directory / "run"


@pytest.fixture
def trained(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of ``finished_run`` to write to."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))
