"""What a person looks at after an evaluation: nearest training images, labels, two runs at once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from facegan.pictures import plots
from facegan.pictures.plots import margin_of_share
from facegan.pictures.scaling import to_uint8
from facegan.pictures.sheets import captioned, grid, save_png
from facegan.quality.metrics.memorization import Memorization
from facegan.quality.scores import Result, Score

SHOWN = 12  # generated images with their nearest real one
PAIRS = 16  # latents of which two generators' images are shown

Images = Callable[[np.ndarray], Tensor]  # numbers of images to images (N, C, H, W)


def table(scores: Mapping[str, Score]) -> str:
    """A line for each score."""
    return "\n".join(f"  {name:<24}{_worded(score)}" for name, score in scores.items())


def _worded(score: Score) -> str:
    if "copier" in score.more:
        found = "it repeats training images" if score.more["copier"] else "no sign of copying"
        return f"{score.value:.1%} look like copies, 1 % by chance: {found}"
    text = f"{score.value:.4g}"
    if score.error is not None:
        text += f" ± {score.error:.2g}"
    if "real" in score.more:
        text += f" (real images {score.more['real']:.4g})"
    if "labels" in score.more:
        shares = score.more["labels"]
        most = max(shares, key=lambda n: abs(shares[n]["generated"] - shares[n]["real"]))
        gap = shares[most]
        text += f" (most: {most} {gap['generated']:.1%}, real {gap['real']:.1%})"
    return text


def nearest(
    found: Memorization,
    generated: Images,
    numbers: np.ndarray,
    raw_images: Images,
    known: np.ndarray,
) -> Image.Image:
    """Above, the generated images in [-1, 1] most like a copy; below, the real ones, uint8."""
    most = found.ratio.argsort()[:SHOWN].numpy()
    above = to_uint8(generated(numbers[most]).cpu())
    below = raw_images(known[found.row.numpy()[most]])
    rows = {"generated": above, "nearest\ntraining image": below}
    return captioned(
        [(caption, grid(images, len(most))) for caption, images in rows.items()], size=12
    )


def prevalence(labels: Mapping[str, Mapping[str, float]], n: int) -> Image.Image:
    """How common each label is among ``n`` generated images (95 % intervals) and real ones."""
    generated = np.array([shares["generated"] for shares in labels.values()])
    margin = margin_of_share(generated, n)
    real = [shares["real"] for shares in labels.values()]
    return plots.prevalence(list(labels), generated, margin, "generated", real)


def pairs(first: Images, second: Images, names: tuple[str, str]) -> Image.Image:
    """What two generators draw for the same latents, in rows below each other."""
    numbers = np.arange(PAIRS)
    strips = [grid(to_uint8(images(numbers).cpu()), PAIRS) for images in (first, second)]
    return captioned(list(zip(names, strips, strict=True)))


def write(result: Result, generated: Images, numbers: np.ndarray, data: Any, out: Path) -> None:
    """The pictures that belong to a ``quality.Result``: ``nearest.png``, ``prevalence.png``."""
    if result.memorization is not None and result.known is not None:
        picture = nearest(result.memorization, generated, numbers, data.raw_images, result.known)
        save_png(picture, out / "nearest.png")
    for score in result.scores.values():
        if "labels" in score.more:
            save_png(prevalence(score.more["labels"], score.n), out / "prevalence.png")
