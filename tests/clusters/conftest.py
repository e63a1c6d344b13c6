"""A small GAN and small data, without a training or a command line."""

from pathlib import Path

import pytest
import torch

from facegan.data.sources.synthetic import Synthetic
from facegan.gan.gan import GAN


def small_gan(seed: int = 0) -> GAN:
    """Untrained: its discriminator has features all the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GAN(image_size=16, width_g=4, width_d=4, latent_dim=8, seed=seed).eval()


@pytest.fixture
def gan() -> GAN:
    return small_gan()


@pytest.fixture(scope="session")
def data(data_dir: Path) -> Synthetic:
    return Synthetic(n=80, image_size=16, data_dir=str(data_dir))
