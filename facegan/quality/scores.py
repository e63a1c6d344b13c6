"""One function per metric: vectors to a score with its error."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from facegan.features.classifier import predict
from facegan.features.extractors import Extractor
from facegan.quality.metrics.frechet import frechet_distance, merge, moments
from facegan.quality.metrics.manifold import manifold
from facegan.quality.metrics.memorization import Memorization
from facegan.quality.metrics.sliced import patches, pyramid, sliced_wasserstein
from facegan.quality.metrics.uncertainty import GROUPS, Estimate, groups

ROWS = 4096  # of vectors that are made float64 at a time


@dataclass(frozen=True)
class Score:
    """A metric of ``n`` generated images; ``more`` says what the number alone does not."""

    estimate: Estimate
    n: int
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return self.estimate.value

    @property
    def error(self) -> float | None:
        """One standard error, by the choice of images; ``None`` where there are too few."""
        return self.estimate.error

    def content(self) -> dict[str, Any]:
        """To be saved."""
        own = {"value": self.value, "error": self.error, "n": self.n}
        return own | self.more | {"replicates": list(self.estimate.replicates)}


@dataclass
class Result:
    """Everything that was measured of one generator.

    Attributes:
        scores: by their full names.
        memorization: what the search for copies found, if it was asked for.
        known: rows of the training images (N,) that it searched.
    """

    scores: dict[str, Score]
    memorization: Memorization | None = None
    known: np.ndarray | None = None


def _frechet(real: Tensor, made: Tensor) -> Estimate:
    reference = moments(real.split(ROWS))
    value = frechet_distance(reference, moments(made.split(ROWS)))
    if len(made) - len(made) // GROUPS <= made.shape[1] + 1:
        return Estimate(value)
    parts = [moments([made[group]]) for group in groups(len(made))]
    rest = [parts[:left] + parts[left + 1 :] for left in range(len(parts))]
    return Estimate(value, [frechet_distance(reference, merge(others)) for others in rest])


def _manifold(real: Tensor, made: Tensor, seed: int) -> dict[str, Score]:
    """Of equally many of each kind: how far an image reaches depends on how many there are."""
    count = min(len(real), len(made))
    chosen = np.random.default_rng(seed).permutation(len(real))[:count]
    estimates = manifold(real[chosen], made[:count])
    return {name: Score(estimate, count) for name, estimate in estimates.items()}


def _prevalence(extractor: Extractor, real: Tensor, made: Tensor) -> Score:
    """Mean over all labels of how much more or less common each is: a share in [0, 1]."""
    ours, theirs = (predict(part, extractor.multiclass).double() for part in (made, real))
    gaps = ours.mean(0) - theirs.mean(0)
    without = [
        (ours.sum(0) - ours[group].sum(0)) / (len(ours) - len(ours[group]))
        for group in groups(len(ours))
    ]
    replicates = [float((share - theirs.mean(0)).abs().mean()) for share in without]
    estimate = Estimate(float(gaps.abs().mean()), replicates if len(ours) >= GROUPS else ())
    shares = {
        name: {"real": float(theirs[:, i].mean()), "generated": float(ours[:, i].mean())}
        for i, name in enumerate(extractor.names)
    }
    return Score(estimate, len(ours), {"labels": shares})


def _sliced(real: Tensor, made: Tensor, seed: int) -> dict[str, Score]:
    """Of every level of the pyramid, and their mean."""
    levels = {
        theirs.shape[-1]: sliced_wasserstein(patches(theirs, seed + 1), patches(ours, seed), seed)
        for theirs, ours in zip(pyramid(real), pyramid(made), strict=True)
    }
    mean = Estimate(
        float(np.mean([level.value for level in levels.values()])),
        np.mean([level.replicates for level in levels.values()], 0).tolist(),
    )
    by_level = {f"swd/{size}": Score(level, len(made)) for size, level in levels.items()}
    return {"swd": Score(mean, len(made)), **by_level}
