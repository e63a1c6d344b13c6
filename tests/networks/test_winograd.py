"""Winograd's convolutions are PyTorch's: values, derivatives of both orders, and when they run."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils.parametrizations import spectral_norm

from facegan.gan.gan import GAN
from facegan.networks.dcgan import Discriminator, Generator, winograd

REFERENCES = {winograd.conv2d: F.conv2d, winograd.conv_transpose2d: F.conv_transpose2d}


def small_case(function, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of two different sides, and weights (2, channels, 4, 4), in float64."""
    torch.manual_seed(0)
    shape = (2, channels, 8, 4) if function is winograd.conv2d else (2, 2, 4, 2)
    images, weight = torch.randn(shape).double(), torch.randn(2, channels, 4, 4).double()
    return images.requires_grad_(), weight.requires_grad_()


@pytest.mark.parametrize("function", REFERENCES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_the_definitions(function, memory_format):
    images, weight = small_case(function, 3)
    images = images.to(memory_format=memory_format)
    found = function(images, weight)
    expected = REFERENCES[function](images, weight, stride=2, padding=1)
    torch.testing.assert_close(found, expected)
    gradient = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, (images, weight), gradient),
        torch.autograd.grad(expected, (images, weight), gradient),
    )


@pytest.mark.parametrize("function", REFERENCES)
def test_second_derivatives_are_right_as_gradient_penalties_need_them(function):
    assert gradcheck(function, small_case(function, 1))
    assert gradgradcheck(function, small_case(function, 1))


@pytest.mark.parametrize("channels", [3, 64])
def test_spectral_normalisation_sees_one_forward_pass(channels: int):
    torch.manual_seed(0)
    ours, theirs = winograd.Conv2d(channels, 128), nn.Conv2d(channels, 128, 4, 2, 1)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, channels, 8, 8)
    for layer in (ours, theirs):
        torch.manual_seed(1)  # of the first vectors
        spectral_norm(layer)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)
    assert torch.equal(*(layer.parametrizations.weight[0]._u for layer in (ours, theirs)))


def test_outputs_can_be_changed_in_place():
    images = torch.randn(2, 128, 8, 8, requires_grad=True)
    for layer in (winograd.Conv2d(128, 64, bias=False), winograd.ConvTranspose2d(128, 64, False)):
        layer(images).relu_().sum().backward()
    assert images.grad is not None


def count(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions of this module that have run."""
    calls: list[str] = []
    for name in ("conv2d", "conv_transpose2d"):
        function = getattr(winograd, name)

        def counted(*args, name=name, function=function):
            calls.append(name)
            return function(*args)

        monkeypatch.setattr(winograd, name, counted)
    return calls


@pytest.mark.parametrize("norm", ["batch", "none"])  # without one, convolutions have biases
def test_wide_networks_use_it_and_compute_what_they_did(monkeypatch, norm: str):
    torch.manual_seed(0)
    G = Generator(32, width=64).to(memory_format=torch.channels_last)
    D = Discriminator(32, width=64, norm=norm).to(memory_format=torch.channels_last)
    for parameter in D.parameters():
        nn.init.normal_(parameter, std=0.1)
    z = torch.randn(4, 100)
    calls = count(monkeypatch)

    def logits_and_gradients() -> tuple[torch.Tensor, ...]:
        logits = D(G(z))
        parameters = [*G.parameters(), *D.parameters()]
        return logits, *torch.autograd.grad(logits.square().mean(), parameters)

    found = logits_and_gradients()
    assert calls == 2 * ["conv_transpose2d"] + 2 * ["conv2d"]  # not where there are 3 channels
    monkeypatch.setattr(winograd, "WORTHWHILE", float("inf"))
    expected = logits_and_gradients()
    assert len(calls) == 4
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * theirs.abs().max().item())


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (torch.randn(2, 64, 6, 6), "no whole tiles"),
        (torch.randn(2, 64, 8, 8, dtype=torch.float64), "twice the digits, asked for on purpose"),
    ],
)
def test_other_images_use_the_plain_convolution(monkeypatch, images: torch.Tensor, why: str):
    calls = count(monkeypatch)
    layer = winograd.Conv2d(64, 128).to(images.dtype)
    assert layer(images).shape == (2, 128, images.shape[2] // 2, images.shape[3] // 2)
    assert not calls, why


def test_half_precision_and_few_channels_use_the_plain_convolution(monkeypatch):
    calls = count(monkeypatch)
    with torch.autocast("cpu", torch.bfloat16):
        assert winograd.Conv2d(64, 128)(torch.randn(2, 64, 8, 8)).dtype == torch.bfloat16
    winograd.ConvTranspose2d(32, 64)(torch.randn(2, 32, 8, 8))
    assert not calls


@pytest.mark.parametrize("winograd_is_on", [True, False])
def test_a_setting_of_the_model_switches_it_off(
    monkeypatch: pytest.MonkeyPatch, winograd_is_on: bool
):
    calls = count(monkeypatch)
    gan = GAN(image_size=32, width_g=64, width_d=64, winograd=winograd_is_on)
    gan.discriminator(gan.generator(torch.randn(2, 100)))
    assert bool(calls) == winograd_is_on
