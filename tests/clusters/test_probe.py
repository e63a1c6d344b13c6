"""Probes that turn vectors into probabilities of labels."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from facegan.clusters.probe import fit_label_probe
from facegan.data.labels import Labels


def planted(n: int = 500, seed: int = 0) -> tuple[Tensor, np.ndarray]:
    """Vectors of 30 numbers, and the labels (n, 3) in them: two attributes and one of 4 classes."""
    rng = np.random.default_rng(seed)
    values = np.stack([rng.integers(0, 2, n), rng.random(n) < 0.2, rng.integers(0, 4, n)], 1)
    known = np.concatenate([values[:, :2], np.eye(4)[values[:, 2]]], 1)
    mixed = known @ np.random.default_rng(7).normal(size=(6, 30))
    return torch.tensor(mixed + rng.normal(size=(n, 30)) * 0.1).float(), values.astype(np.int64)


def chunks(vectors: Tensor) -> Iterator[Tensor]:
    return iter(vectors.split(64))


def test_attributes_and_classes_of_new_images_are_read():
    vectors, values = planted()
    labels = Labels(values, ["Smiling", "Hat", "kind"], {"kind": ["ant", "bee", "cat", "dog"]})
    probe, truth = fit_label_probe(chunks(vectors), labels, components=20)
    assert truth[:, :2].tolist() == values[:, :2].tolist()
    assert truth[:, 2:].argmax(1).tolist() == values[:, 2].tolist()
    assert probe.heads == ("Smiling", "Hat", "kind=ant", "kind=bee", "kind=cat", "kind=dog")
    vectors, values = planted(seed=1)
    found = probe.probabilities(vectors).numpy()
    assert np.mean((found[:, :2] > 0.5) == values[:, :2]) > 0.99
    assert np.mean(found[:, 2:].argmax(1) == values[:, 2]) > 0.99
    assert np.allclose(found[:, 2:].sum(1), 1, atol=1e-5)


def test_points_are_probabilities_divided_by_their_standard_deviation():
    vectors, values = planted()
    labels = Labels(values[:, :2], ["Smiling", "Hat"])
    probe, _ = fit_label_probe(chunks(vectors), labels, components=20)
    probabilities = probe.probabilities(vectors)
    points = probe.scaled_by(probabilities)(vectors)
    assert np.allclose(points.std(0, correction=0), 1, atol=1e-4)
    assert torch.allclose(points * probabilities.std(0, correction=0), probabilities, atol=1e-4)
    flat = probe.scaled_by(torch.full((5, 2), 0.5))(vectors)  # nothing varies
    assert flat.isfinite().all()
