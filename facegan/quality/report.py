"""Tables and pictures of an evaluation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from facegan.data.module import ImageDataModule
from facegan.features.stream import Images
from facegan.pictures import plots
from facegan.pictures.plots import margin_of_share
from facegan.pictures.scaling import to_uint8
from facegan.pictures.sheets import captioned, grid, save_png
from facegan.quality.metrics.memorization import Memorization
from facegan.quality.scores import (
    AccuracyScore,
    AdherenceScore,
    CopiesScore,
    ModesScore,
    PrevalenceScore,
    QualityResult,
    QualityScore,
    SimilarityScore,
)

SAMPLES = 64  # images in generated.png
SUSPECTS = 12  # images in nearest.png
PAIRS = 16  # latents in comparison.png


def score_table(scores: Mapping[str, QualityScore]) -> str:
    """One line per score."""
    return "\n".join(f"  {name:<24}{_in_words(score)}" for name, score in scores.items())


def _in_words(score: QualityScore) -> str:
    if isinstance(score, CopiesScore):
        verdict = "it repeats training images" if score.copier else "no sign of copying"
        return f"{score.value:.1%} look like copies, 1 % by chance: {verdict}"
    text = f"{score.value:.4g}"
    if score.error is not None:
        text += f" ± {score.error:.2g}"
    if isinstance(score, SimilarityScore):
        text += f" (real images {score.real:.4g})"
    if isinstance(score, AccuracyScore):
        text += f" {score.metric} (trained on real images {score.real:.4g})"
    if isinstance(score, ModesScore):
        text += f" (a perfect generator {score.ideal:.4g})"
    if isinstance(score, AdherenceScore):
        precisions = [
            f"{name} {found['average_precision']:.2f} ({score.real[name]['average_precision']:.2f})"
            for name, found in score.generated.items()
        ]
        text += f"; average precision (of real images): {', '.join(precisions)}"
    if isinstance(score, PrevalenceScore):
        shares = score.labels
        widest = max(shares, key=lambda n: abs(shares[n]["generated"] - shares[n]["real"]))
        gap = shares[widest]
        text += f" (widest gap: {widest} {gap['generated']:.1%}, real {gap['real']:.1%})"
    return text


def write(
    result: QualityResult,
    images_of: Images,
    numbers: np.ndarray,
    data: ImageDataModule,
    out: Path,
) -> None:
    """Write the pictures of a result into ``out``: ``nearest.png``, ``prevalence.png``."""
    if result.memorization is not None and result.train_rows is not None:
        picture = nearest(result.memorization, images_of, numbers, data, result.train_rows)
        save_png(picture, out / "nearest.png")
    for score in result.scores.values():
        if isinstance(score, PrevalenceScore):
            save_png(prevalence_chart(score), out / "prevalence.png")


def samples(images_of: Images, numbers: np.ndarray) -> Image.Image:
    """A grid of the first generated images."""
    return grid(to_uint8(images_of(numbers[:SAMPLES]).cpu()))


def nearest(
    found: Memorization,
    images_of: Images,
    numbers: np.ndarray,
    data: ImageDataModule,
    train_rows: np.ndarray,
) -> Image.Image:
    """The generated images most like copies, above the nearest training images."""
    most = found.ratio.argsort()[:SUSPECTS].numpy()
    generated = to_uint8(images_of(numbers[most]).cpu())
    real = data.raw_images(train_rows[found.row.numpy()[most]])
    rows = {"generated": generated, "nearest\ntraining image": real}
    return captioned(
        [(caption, grid(images, len(most))) for caption, images in rows.items()], size=12
    )


def prevalence_chart(score: PrevalenceScore) -> Image.Image:
    """Share of generated images with each label (95 % intervals), beside that of real ones."""
    generated = np.array([shares["generated"] for shares in score.labels.values()])
    real = [shares["real"] for shares in score.labels.values()]
    margin = margin_of_share(generated, score.n)
    return plots.prevalence(list(score.labels), generated, margin, "generated", real)


def pairs(first: Images, second: Images, names: tuple[str, str]) -> Image.Image:
    """What two generators draw for the same latents, in a row each."""
    numbers = np.arange(PAIRS)
    strips = [grid(to_uint8(images_of(numbers).cpu()), PAIRS) for images_of in (first, second)]
    return captioned(list(zip(names, strips, strict=True)))
