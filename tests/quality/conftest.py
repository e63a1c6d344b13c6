"""Drawn faces, and a tiny GAN."""

from pathlib import Path

import pytest
import torch

from facegan.data.sources.synthetic import Synthetic
from facegan.gan.gan import GAN


@pytest.fixture
def faces(data_dir: Path) -> Synthetic:
    """180 training images, 10 in val, 10 in test."""
    return Synthetic(n=200, image_size=16, data_dir=str(data_dir))


def tiny_gan(image_size: int = 16, latent_dim: int = 8) -> GAN:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GAN(
            image_size=image_size, latent_dim=latent_dim, width_g=4, width_d=4, cuda_graphs=False
        ).eval()
