"""Inception Score and MS-SSIM of pairs."""

import pytest
import torch

from facegan.quality.metrics.diversity import inception_score, pair_similarities


def test_the_inception_score_counts_distinct_classes():
    sure = 50.0 * torch.eye(5).repeat(40, 1)
    assert inception_score(sure).value == pytest.approx(5, rel=1e-6)
    assert inception_score(sure[:1].repeat(100, 1)).value == pytest.approx(1)
    assert inception_score(torch.zeros(100, 5)).value == pytest.approx(1)


@pytest.mark.parametrize("size", [16, 28, 32, 64, 96, 180])
def test_msssim_falls_as_pairs_differ_more(size: int):
    torch.manual_seed(0)
    image = torch.rand(1, 3, size, size) * 2 - 1
    noise = torch.rand(4, 3, size, size) * 2 - 1
    alike = pair_similarities(torch.cat([image, image, image, 0.7 * image, noise[:2], noise[2:]]))
    assert alike.shape == (4,)
    assert alike[0] == pytest.approx(1)
    assert 1 > alike[1] > alike[2]
    assert alike[2:].max() < 0.3
