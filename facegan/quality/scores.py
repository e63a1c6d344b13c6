"""From vectors, or from images, to scores with their errors: one function for each metric."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from torch import Tensor

from facegan.features.classifier import predict
from facegan.features.extractors import Extractor
from facegan.quality.metrics.accuracy import accuracy
from facegan.quality.metrics.adherence import (
    Asked,
    Found,
    agreement,
    mean_balanced_accuracy,
    targets_of,
)
from facegan.quality.metrics.diversity import pair_similarities
from facegan.quality.metrics.frechet import frechet_distance, merge, moments
from facegan.quality.metrics.kernel import kernel_distance
from facegan.quality.metrics.manifold import manifold
from facegan.quality.metrics.memorization import Memorization
from facegan.quality.metrics.modes import mode_numbers, mode_shares, modes
from facegan.quality.metrics.sliced import patches, pyramid, sliced_wasserstein
from facegan.quality.metrics.uncertainty import GROUPS, Estimate, groups, mean_estimate

MOMENT_ROWS = 4096  # vectors converted to float64 at a time
MAX_SUBSET = 1000  # images in a subset of the kernel distance, unless set


@dataclass(frozen=True)
class QualityScore:
    """A score of ``n`` generated images. Subclasses add what belongs to one metric."""

    estimate: Estimate
    n: int

    @property
    def value(self) -> float:
        return self.estimate.value

    @property
    def error(self) -> float | None:
        """One standard error, by the choice of images; ``None`` where there are too few."""
        return self.estimate.error

    def content(self) -> dict[str, Any]:
        """Plain values, for ``evaluation.json``."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        del own["estimate"]
        scored = {"value": self.value, "error": self.error}
        return scored | own | {"replicates": list(self.estimate.replicates)}


@dataclass(frozen=True)
class KernelScore(QualityScore):
    """Kernel distance; ``deviation``: between its ``subsets`` of ``subset_size`` images."""

    subsets: int
    subset_size: int
    deviation: float


@dataclass(frozen=True)
class SimilarityScore(QualityScore):
    """MS-SSIM of pairs of generated images; ``real``: of real images."""

    real: float


@dataclass(frozen=True)
class PrevalenceScore(QualityScore):
    """Mean gap in prevalence; ``labels``: each one's share of ``real`` and ``generated`` images."""

    labels: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class AdherenceScore(QualityScore):
    """Mean balanced accuracy of what was asked for; per label, see :func:`agreement`.

    ``real``: the same on held-out real images and their labels, the most that can be expected.
    """

    generated: Found
    real: Found


@dataclass(frozen=True)
class AccuracyScore(QualityScore):
    """How well a network trained on ``n`` generated images does on real ones: ``metric``.

    Its error is by the choice of these, held-out, images. ``real``: the same of the label network,
    which was trained on real images. ``labels``: both by attribute (average precision) or class
    (recall).
    """

    metric: str
    real: float
    labels: Found


@dataclass(frozen=True)
class ModesScore(QualityScore):
    """Modes covered, or their reverse KL; ``ideal``: of a generator of the data's distribution."""

    ideal: float


@dataclass(frozen=True)
class CopiesScore(QualityScore):
    """Share of generated images that look like copies of training images.

    ``p``: of so many by chance; ``copier``: whether chance does not explain them.
    """

    p: float
    copier: bool


@dataclass(frozen=True)
class QualityResult:
    """Everything that was measured of one candidate.

    Attributes:
        scores: by their full names.
        memorization: the result of the search for copies, if there was one.
        train_rows: rows of the training images (N,) that were searched.
    """

    scores: dict[str, QualityScore]
    memorization: Memorization | None = None
    train_rows: np.ndarray | None = None


def frechet_score(real: Tensor, generated: Tensor) -> QualityScore:
    """Fréchet distance of vectors (N, d) and (M, d)."""
    reference = moments(real.split(MOMENT_ROWS))
    value = frechet_distance(reference, moments(generated.split(MOMENT_ROWS)))
    count = len(generated)
    if count - count // GROUPS <= generated.shape[1] + 1:  # too few without a tenth
        return QualityScore(Estimate(value), count)
    parts = [moments([generated[group]]) for group in groups(count)]
    rest = [parts[:left] + parts[left + 1 :] for left in range(len(parts))]
    replicates = [frechet_distance(reference, merge(others)) for others in rest]
    return QualityScore(Estimate(value, replicates), count)


def kernel_score(
    real: Tensor, generated: Tensor, subsets: int, subset_size: int | None, seed: int
) -> KernelScore:
    """Kernel distance of vectors (N, d) and (M, d)."""
    size = subset_size or min(MAX_SUBSET, len(real), len(generated))
    estimate, deviation = kernel_distance(real, generated, subsets, size, seed)
    return KernelScore(estimate, len(generated), subsets, size, deviation)


def manifold_scores(real: Tensor, generated: Tensor, seed: int) -> dict[str, QualityScore]:
    """Precision, recall, density and coverage.

    On equally many vectors of each kind, since an image's reach depends on how many there are.
    """
    count = min(len(real), len(generated))
    chosen = np.random.default_rng(seed).permutation(len(real))[:count]
    estimates = manifold(real[chosen], generated[:count])
    return {name: QualityScore(estimate, count) for name, estimate in estimates.items()}


def prevalence_score(
    labels: tuple[str, ...], real_logits: Tensor, logits: Tensor, multiclass: bool
) -> PrevalenceScore:
    """Mean over all labels of how much more or less frequent each is: a share in [0, 1]."""
    real, generated = (predict(part, multiclass).double() for part in (real_logits, logits))
    count = len(generated)
    gaps = generated.mean(0) - real.mean(0)
    without = [
        (generated.sum(0) - generated[group].sum(0)) / (count - len(generated[group]))
        for group in groups(count)
    ]
    replicates = [float((share - real.mean(0)).abs().mean()) for share in without]
    estimate = Estimate(float(gaps.abs().mean()), replicates if count >= GROUPS else ())
    shares = {
        name: {"real": float(real[:, i].mean()), "generated": float(generated[:, i].mean())}
        for i, name in enumerate(labels)
    }
    return PrevalenceScore(estimate, count, shares)


def adherence_score(
    asked: Asked, extractor: Extractor, logits: Tensor, real_logits: Tensor, real_values: Tensor
) -> AdherenceScore:
    """Balanced accuracy of the extractor's predictions for generated images against ``asked``.

    Args:
        logits: of the generated images.
        real_logits, real_values: of held-out real images, and their labels (N, L) of that kind.
    """
    columns, names = asked.columns(extractor.labels), asked.classes or asked.names
    predicted, real = (
        predict(part, extractor.multiclass)[:, columns] for part in (logits, real_logits)
    )
    targets, truth = asked.targets(), targets_of(real_values, len(asked.classes))
    return AdherenceScore(
        mean_balanced_accuracy(predicted, targets),
        len(logits),
        agreement(predicted, logits[:, columns], targets, names),
        agreement(real, real_logits[:, columns], truth, names),
    )


def accuracy_score(
    asked: Asked, extractor: Extractor, logits: Tensor, real_logits: Tensor, real_values: Tensor
) -> AccuracyScore:
    """Classification accuracy score: accuracy for classes, mean average precision for attributes.

    Args:
        logits: of a network trained on generated images, for held-out real ones, by what was asked.
        real_logits: of the extractor, for the same images.
        real_values: their labels (N, L) of that kind.
    """
    truth = targets_of(real_values, len(asked.classes))
    real_logits = real_logits[:, asked.columns(extractor.labels)]
    estimate, by_label = accuracy(logits, truth, bool(asked.classes))
    real, real_by_label = accuracy(real_logits, truth, bool(asked.classes))
    labels = {
        name: {"generated": by_label[column], "real": real_by_label[column]}
        for column, name in enumerate(asked.classes or asked.names)
    }
    metric = "accuracy" if asked.classes else "mean average precision"
    return AccuracyScore(estimate, len(asked.values), metric, real.value, labels)


def modes_scores(digits: Tensor, real_digits: np.ndarray) -> dict[str, ModesScore]:
    """Modes covered by generated images, and their reverse KL.

    Args:
        digits: recognised in the channels of generated images (M, C).
        real_digits: in the channels of real images (N, C).
    """
    found = modes(mode_numbers(digits), mode_shares(real_digits))
    return {
        "modes": ModesScore(found.covered, len(digits), found.ideal_covered),
        "reverse_kl": ModesScore(found.reverse_kl, len(digits), found.ideal_reverse_kl),
    }


def sliced_scores(real: Tensor, generated: Tensor, seed: int) -> dict[str, QualityScore]:
    """Sliced Wasserstein distance of each level of the pyramid of images, and the mean of these."""
    count = len(generated)
    levels = {
        real_level.shape[-1]: sliced_wasserstein(
            patches(real_level, seed + 1), patches(level, seed), seed
        )
        for real_level, level in zip(pyramid(real), pyramid(generated), strict=True)
    }
    mean = Estimate(
        float(np.mean([level.value for level in levels.values()])),
        np.mean([level.replicates for level in levels.values()], 0).tolist(),
    )
    by_level = {f"swd/{size}": QualityScore(level, count) for size, level in levels.items()}
    return {"swd": QualityScore(mean, count), **by_level}


def similarity_score(real: Tensor, generated: Tensor) -> SimilarityScore:
    """MS-SSIM of pairs of images in [-1, 1] (N, C, H, W)."""
    similarities = pair_similarities(generated)
    real_mean = float(pair_similarities(real).mean())
    return SimilarityScore(mean_estimate(similarities), 2 * len(similarities), real_mean)


def copies_score(found: Memorization) -> CopiesScore:
    """The share of suspected copies in the result of a search."""
    return CopiesScore(mean_estimate(found.suspect), len(found.suspect), found.p, found.copier)
