"""For each chosen metric: what it needs, and the scores it gives.

A new metric gets its line here; formulas are in ``metrics/``, scores with errors in ``scores.py``.
"""

import torch
from torch import Tensor

from facegan.errors import InputError
from facegan.features.extractors import Extractor, Output, StackedNetwork
from facegan.quality import scores
from facegan.quality.metrics.adherence import Asked
from facegan.quality.metrics.diversity import inception_score
from facegan.quality.metrics.frechet import expect_nonsingular
from facegan.quality.metrics.kernel import expect_subset_fits
from facegan.quality.metrics.manifold import expect_neighbours
from facegan.quality.metrics.memorization import expect_held_out
from facegan.quality.metrics.sliced import pyramid
from facegan.quality.metrics.uncertainty import GROUPS
from facegan.quality.names import METRICS, SCORES, name_of
from facegan.quality.scores import QualityScore
from facegan.quality.settings import QualitySettings

ASKED = ("adherence", "cas")  # metrics of a generator that obeys labels
SLICED_IMAGES = 2048  # of each kind at most: their patches are held in memory
FEWEST_TO_TRAIN = 20  # generated images, for cas
PAIRED_IMAGES = 1024  # of each kind at most, for msssim


def score_names(settings: QualitySettings, extractor: Extractor, image_size: int) -> list[str]:
    """The full names of the scores that ``settings.metrics`` give."""
    chosen = [metric for metric in METRICS if metric in settings.metrics and metric != "swd"]
    names = [
        name_of(score, extractor.name)
        for metric in chosen
        for score in SCORES.get(metric, (metric,))
    ]
    if "swd" in settings.metrics:
        levels = pyramid(torch.zeros(1, 1, image_size, image_size))
        names += ["swd", *(f"swd/{level.shape[-1]}" for level in levels)]
    return names


def check_counts(settings: QualitySettings, real: int, held_out: int) -> None:
    """Raise InputError if ``real`` images, or ``held_out`` ones of val and test, are too few."""
    metrics, fewest = settings.metrics, min(settings.n, real)
    if "kd" in metrics:
        expect_subset_fits(fewest, settings.kid_subset_size or 2, settings.key("kid_subset_size"))
    if "new" in metrics:
        expect_held_out(held_out)
    for metric in ASKED:
        if metric in metrics and not held_out:
            raise InputError(f"{metric} needs held-out real images: there are none in val or test.")
    if "cas" in metrics and settings.n < FEWEST_TO_TRAIN:
        raise InputError(f"cas trains a network: {settings.n} generated images are too few.")
    if "msssim" in metrics and fewest < 2:
        raise InputError("msssim compares pairs: it takes two images or more.")
    if "prdc" in metrics:
        expect_neighbours(fewest)
    if "is" in metrics and settings.n < GROUPS:
        raise InputError(
            f"The Inception Score is a mean over {GROUPS} parts: {settings.n} images are too few."
        )


def check_stacked(settings: QualitySettings, stacked: bool) -> None:
    """Raise InputError where modes cannot be counted, since the data are not ``stacked``."""
    if "modes" in settings.metrics and not stacked:
        raise InputError(
            "modes are those of Stacked MNIST, and these data are not stacked: train with "
            "dataset=mnist dataset.stacked=true, or leave modes out."
        )


def check_extractor(
    settings: QualitySettings, extractor: Extractor, one: Tensor, real: int
) -> None:
    """Raise InputError if a metric needs another extractor, or more than ``real`` real images.

    ``one``: a single real image (1, C, H, W) on the extractor's device.
    """
    metrics, kind = settings.metrics, settings.extractor.key("kind")
    if "fd" in metrics:
        features = extractor.read(one).features
        expect_nonsingular(min(settings.n, real), features.shape[1])
    if "is" in metrics and not extractor.multiclass:
        raise InputError(
            f"The Inception Score needs a network that predicts classes, not {extractor.name}: "
            f"set {kind}=inception, or cnn on data whose label is one of many, like mnist."
        )
    stacked = isinstance(extractor, StackedNetwork)
    if "modes" in metrics and not stacked:
        raise InputError(
            f"modes are counted by a network that reads a single digit, not by {extractor.name} of "
            f"whole images: set {kind}=cnn, and no weights but those of such a network."
        )
    for metric in ("prevalence", *ASKED):
        if metric in metrics and not extractor.labels:
            remedy = "leave it out on stacked data" if stacked else f"set {kind}=cnn"
            raise InputError(f"{metric} needs a network that predicts labels: {remedy}.")


def check_asked(settings: QualitySettings, extractor: Extractor, asked: Asked | None) -> None:
    """Raise InputError where a metric lacks labels ``asked`` for, or a network of them."""
    metric = next((metric for metric in ASKED if metric in settings.metrics), None)
    if metric is None:
        return
    if asked is None:
        raise InputError(
            f"{metric} needs a generator that obeys labels: train one with condition=attributes or "
            "condition=classes."
        )
    wanted = asked.classes or asked.names
    if missing := [name for name in wanted if name not in extractor.labels]:
        raise InputError(
            f"{metric} needs a network that predicts {', '.join(missing)}: set "
            f"{settings.extractor.key('kind')}=cnn, or its weights to those of such a network."
        )


def vector_scores(
    settings: QualitySettings, extractor: Extractor, real: Output, generated: Output
) -> dict[str, QualityScore]:
    """The chosen scores of what ``extractor`` has read, by their full names."""
    metrics, pair = settings.metrics, (real.features, generated.features)
    measured: dict[str, QualityScore] = {}
    if "fd" in metrics:
        measured["fd"] = scores.frechet_score(*pair)
    if "kd" in metrics:
        measured["kd"] = scores.kernel_score(
            *pair, settings.kid_subsets, settings.kid_subset_size, settings.seed
        )
    if "is" in metrics:
        assert generated.logits is not None
        measured["is"] = QualityScore(inception_score(generated.logits), len(generated.logits))
    if "prdc" in metrics:
        measured |= scores.manifold_scores(*pair, settings.seed)
    if "prevalence" in metrics:
        assert real.logits is not None
        assert generated.logits is not None
        measured["prevalence"] = scores.prevalence_score(
            extractor.labels, real.logits, generated.logits, extractor.multiclass
        )
    return {name_of(name, extractor.name): score for name, score in measured.items()}


def pixel_scores(
    settings: QualitySettings, real: Tensor, generated: Tensor
) -> dict[str, QualityScore]:
    """The chosen scores of the images themselves, float in [-1, 1] (N, C, H, W) on the CPU."""
    measured: dict[str, QualityScore] = {}
    if "swd" in settings.metrics:
        measured |= scores.sliced_scores(real, generated, settings.seed)
    if "msssim" in settings.metrics:
        pair = (real[:PAIRED_IMAGES], generated[:PAIRED_IMAGES])
        measured["msssim"] = scores.similarity_score(*pair)
    return measured
