"""Sliced Wasserstein distance and its pyramid."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from facegan.quality.metrics.sliced import patches, pyramid, sliced_wasserstein


def test_the_pyramid_adds_up_to_the_image():
    images = torch.rand(2, 3, 64, 64)
    levels = pyramid(images)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    whole = levels[-1]
    binomial = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    for level in reversed(levels[:-1]):
        spread = np.zeros((*whole.shape[:2], *level.shape[-2:]))
        spread[..., ::2, ::2] = 4 * whole
        larger = ndimage.convolve(spread, binomial[None, None], mode="mirror")
        whole = level + torch.from_numpy(larger)
    assert torch.allclose(whole.float(), images, atol=1e-5)


def test_a_level_is_every_second_pixel_of_the_blurred_one():
    images = torch.rand(1, 1, 32, 32)
    weights = np.array([1, 4, 6, 4, 1]) / 16
    blurred = ndimage.convolve1d(images.numpy(), weights, axis=2, mode="mirror")
    blurred = ndimage.convolve1d(blurred, weights, axis=3, mode="mirror")
    assert np.allclose(pyramid(images)[1], blurred[..., ::2, ::2], atol=1e-6)


@pytest.mark.parametrize(("size", "levels"), [(28, [28]), (32, [32, 16])])
def test_patches_of_every_level(size: int, levels: list[int]):
    found = pyramid(torch.rand(3, 1, size, size))
    assert [level.shape[-1] for level in found] == levels
    assert all(patches(level).shape == (3 * 128, 49) for level in found)


@pytest.mark.slow
def test_other_textures_are_farther():
    torch.manual_seed(0)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(200, 3, 34, 34), 3, 1)
    rough = torch.rand(100, 3, 32, 32)
    a, b, c = (patches(pyramid(images)[0]) for images in (smooth[:100], smooth[100:], rough))
    assert sliced_wasserstein(a, a).value == 0
    near, far = sliced_wasserstein(a, b), sliced_wasserstein(a, c)
    assert near.value < far.value / 2
    assert 0 < far.error < far.value / 10


def test_sliced_replicates_leave_out_a_tenth_of_the_images():
    real, generated = torch.rand(2, 20, 3, 16, 16)
    a, b = patches(real), patches(2 * generated)
    whole = sliced_wasserstein(a, b)
    left = torch.arange(20 * 128) >= 2 * 128  # normalised alone: nearly the same
    assert whole.replicates[0] == pytest.approx(sliced_wasserstein(a[left], b[left]).value, rel=0.1)
    assert len(whole.replicates) == 10
