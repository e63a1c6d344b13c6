import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facegan.gan.gan import GAN
from facegan.gan.latents import sample_latents
from facegan.gan.sampling import write_samples
from facegan.gan.settings import SampleSettings
from facegan.pictures.scaling import to_uint8
from tests.shown import images_in, pixels


@pytest.fixture(scope="module")
def gan() -> GAN:
    torch.manual_seed(0)
    model = GAN(image_size=16, latent_dim=8, width_g=4, width_d=4)
    for parameter in model.generator_ema.parameters():
        parameter.data.mul_(10)  # so that pictures differ visibly
    return model


def expected(gan: GAN, n: int, seed: int = 0, truncation: float | None = None) -> np.ndarray:
    z = sample_latents(n, 8, seed, truncation=truncation)
    return to_uint8(gan.sample(z)).permute(0, 2, 3, 1).numpy()


def test_pngs_are_numbered_and_the_grid_shows_the_first_64(gan: GAN, tmp_path: Path):
    write_samples(gan, SampleSettings(n=70), tmp_path / "out")
    images = expected(gan, 70)
    pictures = sorted((tmp_path / "out").glob("0*.png"))
    assert [path.name for path in pictures] == [f"{number:06d}.png" for number in range(70)]
    for path, image in zip(pictures, images, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), image)
    sheet = pixels(tmp_path / "out" / "grid.png")
    assert sheet.shape == (584, 584, 3)  # 4 times enlarged, with 2 pixels between
    assert np.array_equal(images_in(sheet, 16, 8), images[:64])


@pytest.mark.parametrize("batch_size", [7, 100])
def test_an_npz_holds_the_same_images_whatever_the_batch_size(
    gan: GAN, tmp_path: Path, batch_size: int
):
    settings = SampleSettings(n=70, format="npz", grid=False, batch_size=batch_size)
    write_samples(gan, settings, tmp_path)
    with np.load(tmp_path / "samples.npz") as content:
        assert np.array_equal(content["images"], expected(gan, 70))
    assert [path.name for path in tmp_path.iterdir()] == ["samples.npz"]


def test_seed_and_truncation_choose_the_latents(gan: GAN, tmp_path: Path):
    write_samples(gan, SampleSettings(n=3, seed=1, truncation=0.5, format="npz"), tmp_path)
    images = np.load(tmp_path / "samples.npz")["images"]
    assert np.array_equal(images, expected(gan, 3, seed=1, truncation=0.5))
    assert not np.array_equal(images, expected(gan, 3, seed=1))


def test_pictures_of_an_earlier_sampling_are_overwritten_and_others_reported(
    gan: GAN, tmp_path: Path, caplog
):
    write_samples(gan, SampleSettings(n=5), tmp_path)
    with caplog.at_level(logging.WARNING):
        write_samples(gan, SampleSettings(n=3, seed=1), tmp_path)
    for number, image in enumerate(expected(gan, 3, seed=1)):
        assert np.array_equal(pixels(tmp_path / f"{number:06d}.png"), image)
    assert "still holds 2 pictures of an earlier sampling" in caplog.text
