"""Drawn faces with labels, and a tiny GAN."""

from pathlib import Path

import pytest
import torch

from facegan.data.sources.synthetic import Synthetic
from facegan.gan.gan import GAN


@pytest.fixture
def faces(data_dir: Path) -> Synthetic:
    """108 training images, 6 in val, 6 in test."""
    return Synthetic(n=120, image_size=16, batch_size=8, data_dir=str(data_dir))


@pytest.fixture
def gan() -> GAN:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GAN(image_size=16, latent_dim=8, width_g=4, width_d=4, cuda_graphs=False).eval()
