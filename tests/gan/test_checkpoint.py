"""Checkpoints are read safely, whatever is in the file, and written whole or not at all."""

from pathlib import Path

import pytest
import torch

import facegan
from facegan.errors import InputError, WriteError
from facegan.gan.checkpoint import AtomicCheckpointIO, load_gan, read_checkpoint
from facegan.gan.gan import GAN
from facegan.gan.latents import sample_latents
from facegan.networks.dcgan import UNLIMITED
from facegan.run_dir import checkpoint_file
from tests.gan.test_gan import fit, tiny

OF_VERSION_0_1 = {  # the hyper-parameters of a checkpoint written by commit 20208cc
    "image_size": 16,
    "channels": 3,
    "latent_dim": 8,
    "width_g": 4,
    "width_d": 4,
    "blocks": None,
    "norm_d": "batch",
    "spectral_norm": False,
    "loss": "bce",
    "label_smoothing": 0.0,
    "gp_weight": None,
    "r1_gamma": 0.0,
    "r2_gamma": 0.0,
    "penalty_every": 1,
    "augment": [],
    "lr_g": 0.0002,
    "lr_d": 0.0002,
    "betas_g": (0.5, 0.999),
    "betas_d": (0.5, 0.999),
    "accumulate": 1,
    "clip": None,
    "ema_half_life": 10000,
    "ema_ramp": 0.05,
    "compile": False,
    "cuda_graphs": True,
    "seed": 3,
}
PIXELS = [0.0599, 0.00104, 0.00249, 0.086, 0.00751, 0.00749]  # that commit drew for seed 7


def test_a_checkpoint_of_version_0_1_loads_and_draws_the_same_faces(tmp_path: Path):
    torch.manual_seed(0)
    model = GAN(**OF_VERSION_0_1)
    path = tmp_path / "old.ckpt"
    fit(model, max_epochs=0).save_checkpoint(path)
    checkpoint = torch.load(path, weights_only=True)
    old = {"hyper_parameters": OF_VERSION_0_1, "hparams_name": "kwargs"}
    torch.save(checkpoint | old, path)
    z = sample_latents(2, 8, seed=7)
    for loaded in (GAN.load_from_checkpoint(path, weights_only=True), load_gan(path, "cpu")):
        images = loaded.sample(z)
        assert torch.equal(images, model.sample(z))
        assert images[:, 0, 8, 6:9].flatten().tolist() == pytest.approx(PIXELS, abs=2e-5)


def test_a_checkpoint_of_another_version_is_refused_in_a_sentence(tmp_path):
    model = tiny()
    fit(model).save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    checkpoint["hyper_parameters"]["colour"] = "red"
    torch.save(checkpoint, tmp_path / "b.ckpt")
    with pytest.raises(InputError, match=r"b\.ckpt does not fit this version of facegan: .*colour"):
        load_gan(tmp_path / "b.ckpt")


def test_a_checkpoint_loads_safely_with_no_config(tmp_path):
    model = tiny()
    trainer = fit(model)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    copy = GAN.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert copy.images_seen == 32
    assert torch.equal(copy.sample(), model.sample())
    assert read_checkpoint(tmp_path / "a.ckpt")["images_seen"] == 32


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"some text"])
def test_a_damaged_checkpoint_is_named(tmp_path, content: bytes):
    path = tmp_path / "bad.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.ckpt is damaged or not a checkpoint"):
        read_checkpoint(path)


def test_another_projects_checkpoint_is_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="not a facegan checkpoint"):
        read_checkpoint(tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="There is no checkpoint at"):
        read_checkpoint(tmp_path)


def test_a_run_directory_stands_for_its_last_checkpoint(tmp_path: Path):
    model = tiny()
    path = tmp_path / "checkpoints" / "last.ckpt"
    fit(model).save_checkpoint(path)
    assert checkpoint_file(tmp_path) == path
    gan = facegan.load_gan(tmp_path, "cpu")
    assert not gan.training
    assert torch.equal(gan.sample(), model.sample())
    with pytest.raises(InputError, match="device=nonsense"):
        facegan.load_gan(tmp_path, "nonsense")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> AtomicCheckpointIO:
    """A writer whose second checkpoint does not fit on the disk."""
    save = torch.save

    def fail_on_second(checkpoint: dict, file) -> None:
        if checkpoint["number"] > 1:
            file.write(b"half of it")
            raise OSError(28, "No space left on device")
        save(checkpoint, file)

    monkeypatch.setattr(torch, "save", fail_on_second)
    return AtomicCheckpointIO()


def test_a_write_that_fails_leaves_the_old_checkpoint(
    tmp_path: Path, full_disk: AtomicCheckpointIO
):
    path = tmp_path / "checkpoints" / "last.ckpt"
    full_disk.save_checkpoint({"number": 1}, path)
    before = path.read_bytes()
    with pytest.raises(WriteError, match=r"No space.*resume=.*from the last one, which is intact"):
        full_disk.save_checkpoint({"number": 2}, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("place", ["checkpoints/last.ckpt", "celeba-64px/network.ckpt"])
def test_only_a_run_with_a_checkpoint_is_advised_to_resume(
    tmp_path: Path, full_disk: AtomicCheckpointIO, place: str
):
    """A first checkpoint, and a label network's in a data store."""
    with pytest.raises(WriteError, match=r"cannot be written \(No space") as raised:
        full_disk.save_checkpoint({"number": 2}, tmp_path / place)
    assert "resume" not in str(raised.value)


def test_a_large_network_of_a_version_without_max_width_loads(tmp_path: Path):
    gan = GAN(image_size=256, width_g=2, width_d=2, latent_dim=4, max_width=UNLIMITED)
    hyper_parameters = dict(gan.hparams)
    del hyper_parameters["max_width"]
    content = {"state_dict": gan.state_dict(), "hyper_parameters": hyper_parameters}
    torch.save({**content, "images_seen": 8}, tmp_path / "a.ckpt")
    assert read_checkpoint(tmp_path / "a.ckpt")["hyper_parameters"]["max_width"] == UNLIMITED
