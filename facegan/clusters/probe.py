"""Linear probes of chosen labels, whose probabilities k-means groups."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facegan.data.labels import Labels
from facegan.features.linear import fit_probe, refit
from facegan.features.reduction import reduce

SELECTED = 0.2  # share of the labelled images that the penalty is chosen on
REDUCED = 2048  # images that the principal components are found on: more are slower, not better
SMALLEST_SPREAD = 1e-3  # of a probability: what varies less is not enlarged


@dataclass(frozen=True)
class LabelProbe:
    """From vectors (N, d) to the probabilities of labels, and to points (N, heads) for k-means.

    An attribute has a logistic head; a label with several classes has a head per class, and a
    softmax over them. ``logits = (vectors - mean) @ weight + bias``.

    Attributes:
        mean, weight, bias: (d,), (d, heads) and (heads,).
        spread: (heads,), standard deviation of each probability; points are probabilities divided
            by it.
        heads: their names: attributes, and ``label=class``.
        widths: number of heads of each label.
    """

    mean: Tensor
    weight: Tensor
    bias: Tensor
    spread: Tensor
    heads: tuple[str, ...]
    widths: tuple[int, ...]

    def __call__(self, vectors: Tensor) -> Tensor:
        return self.probabilities(vectors) / self.spread

    def probabilities(self, vectors: Tensor) -> Tensor:
        """Probability of every head (N, heads)."""
        logits = (vectors.to(self.mean) - self.mean) @ self.weight + self.bias
        parts = logits.split(self.widths, dim=1)
        return torch.cat([p.sigmoid() if p.shape[1] == 1 else p.softmax(1) for p in parts], 1)

    def scaled_by(self, probabilities: Tensor) -> "LabelProbe":
        """This probe with the spread of ``probabilities`` (N, heads)."""
        spread = probabilities.std(0, correction=0).clamp_min(SMALLEST_SPREAD)
        return replace(self, spread=spread)


def fit_label_probe(
    vectors: Iterable[Tensor], labels: Labels, components: int, seed: int = 0
) -> tuple[LabelProbe, Tensor]:
    """Fit a probe of every label to ``vectors`` of labelled images, in the order of ``labels``.

    The probe reads ``components`` principal components, and chooses the strength of its penalty on
    a fifth of the images. Also returns what the heads should have said: (N, heads) of 0 and 1.
    """
    count = len(labels.values)
    problems = _problems(labels)
    # Whitened, the small components of few images would count as much as the large ones.
    reduction, points = reduce(vectors, count, components, False, seed, REDUCED)
    first = max(1, round(count * (1 - SELECTED)))
    held_out = slice(first if first < count else 0, None)
    probes = []
    for names, y in problems:
        chosen = fit_probe(points[:first], y[:first], (points[held_out], y[held_out]), len(names))
        probes.append(refit(chosen, points, y))
    weight = reduction.matrix @ torch.cat([probe.weight / probe.scale for probe in probes]).T
    bias = torch.cat([probe.bias for probe in probes])
    heads = tuple(name for names, _ in problems for name in names)
    # Attributes are one problem of many heads, which do not exclude each other.
    widths = [[1] * len(names) if y.ndim == 2 else [len(names)] for names, y in problems]
    probe = LabelProbe(
        reduction.mean, weight, bias, torch.ones(len(heads)), heads, tuple(chain(*widths))
    )
    values = [y if y.ndim == 2 else F.one_hot(y, len(names)).float() for names, y in problems]
    return probe, torch.cat(values, 1)


def _problems(labels: Labels) -> list[tuple[list[str], Tensor]]:
    """The heads and targets of each fit: all attributes (N, A) together; classes (N,)."""
    values = dict(zip(labels.names, labels.values.T, strict=True))
    attributes = [name for name in labels.names if labels.is_binary(name)]
    problems = []
    if attributes:
        columns = np.stack([values[name] for name in attributes], 1)
        problems.append((attributes, torch.from_numpy(columns).float()))
    for name in (name for name in labels.names if name not in attributes):
        classes, numbers = np.unique(values[name], return_inverse=True)
        heads = [f"{name}={labels.meaning(name, int(value))}" for value in classes]
        problems.append((heads, torch.from_numpy(numbers)))
    return problems
