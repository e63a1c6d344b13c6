"""D's clusters as conditions: when they change, what they keep, and how a run resumes with them."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from facegan import GAN, load_gan
from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from facegan.gan.conditions import conditions_for
from facegan.gan.settings import ConditionSettings
from facegan.training.callbacks import self_condition
from facegan.training.callbacks.checkpoints import Checkpoints
from facegan.training.callbacks.self_condition import SelfCondition
from facegan.training.fit import Experiment, fit
from tests.training.run_files import assert_equal
from tests.training.test_fit import QUIET


def experiment(run_dir: Path, data_dir: Path, epochs: int, **more: Any) -> Experiment:
    data = Synthetic(n=80, image_size=16, batch_size=8, data_dir=str(data_dir))
    settings = ConditionSettings(kind="clusters", k=4)
    conditions = conditions_for(settings, data.label_names, data.store.labels, {})
    pl.seed_everything(0, verbose=False)
    shape = {"image_size": 16, "width_g": 4, "width_d": 4, "latent_dim": 8}
    return Experiment(
        model=GAN(conditions.specification(), **shape),
        data=data,
        trainer=partial(pl.Trainer, max_epochs=epochs, default_root_dir=str(run_dir), **QUIET),
        run_dir=run_dir,
        callbacks=[
            Checkpoints(str(run_dir / "checkpoints"), "last", every_n_epochs=1, keep=1),
            SelfCondition(4, more.pop("recluster", None)),
        ],
        **more,
    )


def clustered_after(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled with images seen, each time that images are clustered."""
    seen: list[int] = []
    cluster = SelfCondition._cluster

    def watched(self: Any, trainer: Any, module: Any, previous: Any) -> None:
        seen.append(module.images_seen)
        cluster(self, trainer, module, previous)

    monkeypatch.setattr(SelfCondition, "_cluster", watched)
    return seen


def test_images_are_clustered_after_powers_of_two_but_not_the_last(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = clustered_after(monkeypatch)
    job = experiment(tmp_path / "run", data_dir, epochs=4)
    fit(job)
    assert [images // 72 for images in seen] == [0, 1, 2]
    batch = next(iter(job.data.train_dataloader()))[1]
    assert batch.shape == (8, len(job.data.label_names) + 1)
    shares = np.bincount(job.data.clusters[job.data.train_rows()], minlength=4) / 72
    drawn = job.model.conditions.draw(4000, seed=0).numpy().astype(int)[:, 0]
    assert np.bincount(drawn, minlength=4) / 4000 == pytest.approx(shares, abs=0.03)


def test_epochs_can_be_chosen(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    seen = clustered_after(monkeypatch)
    fit(experiment(tmp_path / "run", data_dir, epochs=4, recluster=[3]))
    assert [images // 72 for images in seen] == [0, 3]


def test_numbers_follow_those_before_whatever_their_order(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    """The networks' embeddings belong to numbers, which must keep their meaning."""
    job = experiment(tmp_path / "run", data_dir, epochs=2)
    fit(job)
    rows, callback = job.data.train_rows(), job.callbacks[1]
    monkeypatch.setattr(self_condition, "record", lambda *_: None)
    callback._cluster(job.model.trainer, job.model, previous=job.data.clusters[rows])
    before = job.data.clusters[rows].copy()
    permuted = np.array([2, 0, 3, 1])[before]
    callback._cluster(job.model.trainer, job.model, previous=permuted)
    assert (job.data.clusters[rows] == permuted).mean() > 0.95


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path, data_dir: Path):
    fit(experiment(tmp_path / "whole", data_dir, epochs=3, recluster=[1]))
    fit(experiment(tmp_path / "run", data_dir, epochs=2, recluster=[1]))
    resumed = experiment(tmp_path / "run", data_dir, epochs=3, recluster=[1], resuming=True)
    fit(resumed)
    assert resumed.model.images_seen == 3 * 72
    assert_equal(*(tmp_path / name / "checkpoints/last.ckpt" for name in ("whole", "run")))
    images = [load_gan(tmp_path / name).images_of(9, 1)(np.arange(9)) for name in ("whole", "run")]
    assert torch.equal(*images)


def test_it_belongs_to_conditions_of_clusters_alone(tmp_path: Path, data_dir: Path):
    job = experiment(tmp_path / "run", data_dir, epochs=1)
    without = Experiment(**{**vars(job), "callbacks": job.callbacks[:1]})
    with pytest.raises(InputError, match="need each other"):
        fit(without)
    few = Experiment(**{**vars(job), "callbacks": [SelfCondition(100)]})
    with pytest.raises(InputError, match=r"100 clusters need as many training images.*has 72"):
        fit(few)
