"""The checkpoint a training starts from."""

import shutil
from pathlib import Path

import pytest

from facegan import GAN
from facegan.errors import InputError
from facegan.training.start import read_start


@pytest.fixture
def model(trained: Path) -> GAN:
    """A network that fits the checkpoints of ``trained``."""
    return GAN(image_size=16, width_g=4, width_d=4, latent_dim=8)


@pytest.fixture
def damaged(trained: Path) -> Path:
    """A last checkpoint that was cut short, beside a whole one of the same directory."""
    last = trained / "checkpoints" / "last.ckpt"
    shutil.copy(last, last.with_name("epoch_001.ckpt"))
    last.write_bytes(last.read_bytes()[:5000])
    return last


def test_the_file_can_be_named_as_well_as_the_run(damaged: Path, model: GAN):
    for start in (damaged, damaged.parent.parent):
        with pytest.raises(InputError, match=r"epoch_001\.ckpt.*resume\.fallback=true"):
            read_start(start, model, fallback=False)
        checkpoint = read_start(start, model, fallback=True)
        assert checkpoint is not None
        assert checkpoint["path"] == damaged.with_name("epoch_001.ckpt")


def test_a_home_directory_is_expanded(damaged: Path, model: GAN, monkeypatch):
    monkeypatch.setenv("HOME", str(damaged.parent.parent.parent))
    checkpoint = read_start("~/run/checkpoints/last.ckpt", model, fallback=True)
    assert checkpoint is not None
    assert checkpoint["path"].name == "epoch_001.ckpt"
