import math

import pytest
import torch
import torch.nn.functional as F

from facegan.gan.losses import LOSSES, gradient_penalty, smoothed_bce, squared_gradient_norm
from facegan.networks.dcgan import Discriminator

REAL, FAKE = torch.tensor([2.0, -0.5]), torch.tensor([0.5, -1.0])


def test_bce_is_the_textbook_loss_on_probabilities():
    ones, zeros = torch.ones(2), torch.zeros(2)
    expected = F.binary_cross_entropy(REAL.sigmoid(), ones)
    expected += F.binary_cross_entropy(FAKE.sigmoid(), zeros)
    torch.testing.assert_close(LOSSES["bce"].d(REAL, FAKE), expected)
    expected = F.binary_cross_entropy(FAKE.sigmoid(), ones)
    torch.testing.assert_close(LOSSES["bce"].g(FAKE, REAL), expected)


@pytest.mark.parametrize(
    ("name", "d", "g"),
    [
        ("lsgan", ((1 + 2.25) / 2 + (0.25 + 1) / 2) / 2, (0.25 + 4) / 2 / 2),
        ("hinge", (0 + 1.5) / 2 + (1.5 + 0) / 2, 0.25),
        ("wgan-gp", -0.25 - 0.75, 0.25),
        (
            "rpgan",
            (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(-0.5))) / 2,
            (math.log1p(math.exp(1.5)) + math.log1p(math.exp(0.5))) / 2,
        ),
    ],
)
def test_losses_by_hand(name: str, d: float, g: float):
    assert LOSSES[name].d(REAL, FAKE).item() == pytest.approx(d, rel=1e-5)
    assert LOSSES[name].g(FAKE, REAL).item() == pytest.approx(g, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_move_logits_in_the_right_direction(name: str):
    real = torch.tensor([0.9, 0.1], requires_grad=True)  # between lsgan's two targets
    fake = torch.tensor([0.2, 0.8], requires_grad=True)
    LOSSES[name].d(real, fake).backward()
    assert (real.grad < 0).all()  # D raises the logits of real images
    assert (fake.grad > 0).all()
    fake.grad = None
    LOSSES[name].g(fake, real.detach()).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("name", ["bce", "rpgan"])
def test_logits_of_any_size_give_finite_losses_and_gradients(name: str):
    logits = torch.tensor([1e4, -1e4], requires_grad=True)
    LOSSES[name].d(logits, -logits).backward()
    assert logits.grad.isfinite().all()


def test_smoothing_is_one_sided():
    confident = torch.full((4,), 50.0)
    assert smoothed_bce(confident, -confident, 0.1) > 1  # too sure of real images
    assert LOSSES["bce"].d(confident, -confident) < 1e-6
    torch.testing.assert_close(smoothed_bce(REAL, FAKE, 0.0), LOSSES["bce"].d(REAL, FAKE))


def linear(images: torch.Tensor) -> torch.Tensor:
    return 3 * images.flatten(1).sum(dim=1)  # gradient 3 everywhere: norm 3 * sqrt(12)


def test_penalties_of_a_linear_discriminator():
    images = torch.rand(5, 3, 2, 2)
    assert squared_gradient_norm(linear, images).item() == pytest.approx(9 * 12, rel=1e-5)
    expected = (3 * math.sqrt(12) - 1) ** 2
    assert gradient_penalty(linear, images, -images).item() == pytest.approx(expected, rel=1e-5)


def test_penalties_reach_the_weights_in_float32_even_under_autocast():
    D = Discriminator(16, width=4, norm="none")
    images = torch.rand(2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        penalty = squared_gradient_norm(D, images)
    assert penalty.dtype == torch.float32
    penalty.backward()
    assert D.logit.weight.grad.abs().sum() > 0
