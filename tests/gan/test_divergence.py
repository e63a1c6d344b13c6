import pytest
import torch

from facegan.errors import DivergedError
from facegan.gan.divergence import Divergence


def test_the_first_step_that_is_not_finite_is_reported():
    divergence = Divergence(torch.device("cpu"))
    for step, loss in enumerate([1.0, float("inf"), 2.0, float("nan")], start=1):
        divergence.watch(torch.tensor(loss), step)
    with pytest.raises(DivergedError, match=r"training step 2 \(epoch 1, about 32 images seen\)"):
        divergence.check(epoch=1, images_seen=32)


def test_finite_losses_pass():
    divergence = Divergence(torch.device("cpu"))
    divergence.watch(torch.tensor(1e30), 1)
    divergence.check(epoch=1, images_seen=8)
