"""A network trained on generated images."""

import numpy as np
import pytest
import torch
from torch import Tensor

from facegan.features.classifier import Classifier
from facegan.features.extractors import LabelNetwork
from facegan.quality.cas import train_on_generated
from facegan.quality.metrics.accuracy import accuracy
from facegan.quality.metrics.adherence import Asked

COUNT = 1280


def like(names: list[str], classes: list[str] | None = None, **more) -> LabelNetwork:
    """An untrained label network: only its settings matter."""
    heads = len(classes or names)
    network = Classifier(16, 1, 4, names, [3], [0.5] * heads, classes=classes, lr=1e-2, **more)
    return LabelNetwork(network)


def noisy(levels: Tensor, seed: int = 0) -> Tensor:
    """Images (N, 1, 16, 16) as bright as ``levels`` (N,), with noise."""
    noise = torch.randn(len(levels), 1, 16, 16, generator=torch.manual_seed(seed)) / 10
    return (levels[:, None, None, None] + noise).clamp(-1, 1)


def trained(asked: Asked, images: Tensor, network: LabelNetwork, seed: int = 0) -> Classifier:
    return train_on_generated(
        *(asked, lambda numbers: images[numbers], np.arange(len(images)), network),
        torch.device("cpu"),
        flip=True,
        seed=seed,
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_a_network_learns_from_generated_images_what_real_ones_show(weighted: bool):
    bright = torch.rand(COUNT, generator=torch.manual_seed(1)) < 0.3
    network = like(["Bright"], weights=[2.0] if weighted else None)
    asked = Asked(["Bright"], (), bright[:, None].float())
    found = trained(asked, noisy(bright * 1.0 - 0.5), network)
    assert found.settings.names == ["Bright"]
    assert (found.weights is not None) == weighted
    real = ~bright
    estimate, _ = accuracy(found.logits(noisy(real * 1.0 - 0.5, 5)), real[:, None], False)
    assert estimate.value > 0.99


def test_a_generator_that_draws_one_class_for_another_is_found_out():
    digits = torch.arange(COUNT) % 4
    drawn = torch.where(digits == 3, 2, digits)  # never a three
    asked = Asked(["digit"], tuple("0123"), digits[:, None].float())
    found = trained(asked, noisy(drawn / 2 - 0.75), like(["digit"], list("0123")))
    logits = found.logits(noisy(digits / 2 - 0.75, 5))
    estimate, recall = accuracy(logits, digits[:, None] == torch.arange(4), True)
    assert min(recall[:2]) > 0.9
    assert estimate.value == pytest.approx(np.mean(recall))
    assert estimate.value < 0.9


def test_training_follows_from_the_seed_and_leaves_the_random_state_as_it_was():
    values = (torch.arange(40) % 2)[:, None].float()
    images, asked = noisy(values[:, 0]), Asked(["Bright"], (), values)
    network, state = like(["Bright"]), torch.get_rng_state()
    first, again, other = (
        torch.cat(
            [w.detach().flatten() for w in trained(asked, images, network, seed).parameters()]
        )
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
