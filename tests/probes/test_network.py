import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError, WriteError
from facegan.features.classifier import Classifier
from facegan.probes.network import label_network, train_classifier
from facegan.probes.settings import NetworkSettings
from facegan.probes.task import Task, task_of

QUICK = NetworkSettings(max_epochs=1, width=4)
CPU = torch.device("cpu")


@pytest.fixture
def task(faces: Synthetic) -> Task:
    return task_of(faces, ["Smiling", "Male"], seed=0)


@pytest.fixture
def own_faces(tmp_path: Path) -> Synthetic:
    """In a store without networks."""
    return Synthetic(n=120, image_size=16, batch_size=8, data_dir=str(tmp_path))


def train(
    task: Task, data: Synthetic, settings: NetworkSettings = QUICK, **more: Any
) -> Classifier:
    return label_network(task, data, settings, CPU, **{"seed": 0, "width": 4, **more})


def networks(data: Synthetic) -> list[Path]:
    return sorted((data.store.path / "networks").glob("*.ckpt"))


def weights(network: Classifier) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_all_runs_share_one_network_whatever_their_batch_size(
    task: Task, own_faces: Synthetic, tmp_path: Path
):
    first = train(task, own_faces)
    (path,) = networks(own_faces)
    written = path.stat().st_mtime_ns
    other = Synthetic(
        n=120, image_size=16, batch_size=16, global_batch_size=32, data_dir=str(tmp_path)
    )
    assert torch.equal(weights(first), weights(train(task, other)))
    assert networks(own_faces) == [path]
    assert path.stat().st_mtime_ns == written
    assert own_faces.settings.batch_size == 8
    assert own_faces.trainer is None


def test_runs_that_do_not_mirror_images_have_another_network(
    task: Task, own_faces: Synthetic, tmp_path: Path
):
    """A mirrored letter is another letter: dataset.flip=false may be there for the labels."""
    mirrored = train(task, own_faces)
    as_they_are = train(task, Synthetic(n=120, image_size=16, flip=False, data_dir=str(tmp_path)))
    assert len(networks(own_faces)) == 2
    assert not torch.equal(weights(mirrored), weights(as_they_are))


def test_a_reference_is_kept_in_its_own_directory(task: Task, own_faces: Synthetic, tmp_path: Path):
    train(task, own_faces, width=8, out=tmp_path / "out")
    assert not networks(own_faces)
    assert len(list((tmp_path / "out").glob("cnn_*.ckpt"))) == 1
    train(task, own_faces, width=4)
    train(task, own_faces, width=4, out=tmp_path / "other")  # the shared one is the same
    assert not (tmp_path / "other").exists()


def test_a_network_that_an_earlier_version_kept_is_used(task: Task, own_faces: Synthetic):
    store = own_faces.store.path
    names = ["Smiling", "Male"]
    made_from = (
        f"{store.name}, 120 images, seed=0, max_epochs=10, patience=2, lr=0.001, weighting=none, "
        "width=64, blocks=None, batch_size=64, flip=True"
    )
    kept = Classifier(16, 3, 64, names, task.columns, [0.5, 0.5], made_from=made_from)
    identity = hashlib.sha256(f"{names} {made_from}".encode()).hexdigest()[:12]
    (store / "networks").mkdir()
    content = {"hyper_parameters": dict(kept.hparams), "state_dict": kept.state_dict()}
    torch.save(content, store / "networks" / f"{identity}.ckpt")
    found = train(task, own_faces, NetworkSettings(), width=64)
    assert torch.equal(weights(found), weights(kept))


def test_training_follows_from_the_seed_and_leaves_the_process_as_it_was(
    task: Task, own_faces: Synthetic, tmp_path: Path
):
    states = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    environment = dict(os.environ)
    first = train(task, own_faces, out=tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert dict(os.environ) == environment
    torch.rand(3)
    assert torch.equal(weights(first), weights(train(task, own_faces, out=tmp_path / "b")))
    assert not torch.equal(weights(first), weights(train(task, own_faces, seed=1)))


def test_a_full_disk_while_it_trains_leaves_nothing_and_advises_no_resuming(
    task: Task, own_faces: Synthetic, monkeypatch: pytest.MonkeyPatch
):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    own_faces.setup()  # packs the images
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"No space left on device.*make room") as raised:
        train(task, own_faces)
    assert "resume=" not in str(raised.value)
    left = [path.name for path in (own_faces.store.path / "networks").iterdir()]
    assert all(name.endswith(".lock") for name in left)


def test_a_network_that_another_process_has_written_meanwhile_stays(tmp_path: Path):
    path = tmp_path / "finished.ckpt"
    path.write_text("by another process")
    unused: Any = None
    train_classifier(unused, unused, path, unused, max_epochs=1, patience=1)
    assert path.read_text() == "by another process"


def test_a_given_network_is_used_if_it_predicts_these_labels(
    task: Task, own_faces: Synthetic, tmp_path: Path
):
    made = train(task, own_faces, out=tmp_path)
    (path,) = tmp_path.glob("cnn_*.ckpt")
    given = NetworkSettings(ckpt=str(path))
    assert torch.equal(weights(made), weights(train(task, own_faces, given)))
    assert not networks(own_faces)
    all_labels = task_of(own_faces, None, seed=0)
    with pytest.raises(InputError, match="predicts Smiling, Male from images of 16 px"):
        train(all_labels, own_faces, given)


def test_balanced_weights_count_rare_values_more(task: Task, own_faces: Synthetic, tmp_path: Path):
    balanced = NetworkSettings(max_epochs=1, width=4, weighting="balanced")
    network = train(task, own_faces, balanced, out=tmp_path)
    prevalence = torch.from_numpy(task.prevalence())
    assert network.weights.tolist() == pytest.approx(((1 - prevalence) / prevalence).tolist())
