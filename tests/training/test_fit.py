"""Training from Python with plain objects, as a notebook does."""

import json
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl

from facegan import GAN, load_gan
from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from facegan.training.callbacks.checkpoints import Checkpoints
from facegan.training.fit import Experiment, fit

QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}


def experiment(tmp_path: Path, data_dir: Path, epochs: int = 1, **more: object) -> Experiment:
    run_dir = tmp_path / "run"
    directory = str(run_dir / "checkpoints")
    return Experiment(
        model=GAN(image_size=16, width_g=4, width_d=4, latent_dim=8),
        data=Synthetic(n=80, image_size=16, batch_size=8, data_dir=str(data_dir)),
        trainer=partial(pl.Trainer, max_epochs=epochs, default_root_dir=str(tmp_path), **QUIET),
        run_dir=run_dir,
        callbacks=[Checkpoints(directory, "last", every_n_epochs=1, keep=1)],
        **more,
    )


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_notebook_trains_resumes_and_loads(tmp_path: Path, data_dir: Path):
    outcome = fit(experiment(tmp_path, data_dir))
    assert outcome.images == 72
    assert json.loads((tmp_path / "run" / "result.json").read_text())["images"] == 72
    assert load_gan(tmp_path / "run").images_seen == 72
    resumed = experiment(tmp_path, data_dir, epochs=2, resuming=True)
    assert fit(resumed).images == 72
    assert resumed.model.images_seen == 144


def test_a_finished_run_starts_a_new_one_with_epochs_of_its_own(tmp_path: Path, data_dir: Path):
    fit(experiment(tmp_path, data_dir))
    again = experiment(tmp_path / "second", data_dir, ckpt=tmp_path / "run")
    assert fit(again).images == 72
    assert again.model.images_seen == 144


def test_a_checkpoint_without_a_backbone_is_of_dcgan(tmp_path: Path, data_dir: Path):
    """Checkpoints of version 0.1 name none."""
    import torch

    fit(experiment(tmp_path, data_dir))
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["hyper_parameters"]["backbone"]
    torch.save(checkpoint, path)
    again = experiment(tmp_path / "second", data_dir, ckpt=path)
    assert fit(again).images == 72


def test_too_few_images_are_refused_before_anything_is_written(tmp_path: Path, data_dir: Path):
    refused = experiment(tmp_path, data_dir)
    refused.data.limit = 4
    with pytest.raises(InputError, match=r"dataset\.batch_size=8 is more than the 4"):
        fit(refused)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_training_without_end_says_so(tmp_path: Path, data_dir: Path, caplog):
    endless = experiment(tmp_path, data_dir, epochs=-1)
    limited = partial(endless.trainer, max_time="00:00:00:01")
    with caplog.at_level(logging.INFO, "facegan"):
        fit(replace(endless, trainer=limited))
    assert "training images, without end in batches of 8" in caplog.text
    assert "The time is up" in caplog.text
