"""What a person looks at after an evaluation: nearest training images, labels, two runs at once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facegan import media, plots
from facegan.metrics.memory import Memory
from facegan.metrics.uncertainty import margin_of_share

SHOWN = 12  # generated images with their nearest real one
PAIRS = 16  # latents of which two generators' images are shown

Images = Callable[[np.ndarray], Tensor]  # numbers of images to images (N, C, H, W)


def nearest(
    found: Memory, generated: Images, numbers: np.ndarray, raw_images: Images, known: np.ndarray
) -> Image.Image:
    """Above, the generated images in [-1, 1] most like a copy; below, the real ones, uint8."""
    most = found.ratio.argsort()[:SHOWN].numpy()
    above = media.to_uint8(generated(numbers[most]).cpu())
    below = raw_images(known[found.row.numpy()[most]])
    return media.grid(torch.cat([above, below]), len(most))


def prevalence(labels: Mapping[str, Mapping[str, float]], n: int) -> Image.Image:
    """How common each label is among ``n`` generated images (95 % intervals) and real ones."""
    generated = np.array([shares["generated"] for shares in labels.values()])
    margin = margin_of_share(generated, n)
    real = [shares["real"] for shares in labels.values()]
    return plots.prevalence(list(labels), generated, margin, "generated", real)


def pairs(first: Images, second: Images, names: tuple[str, str]) -> Image.Image:
    """What two generators draw for the same latents, in rows below each other."""
    numbers = np.arange(PAIRS)
    strips = [
        media.grid(media.to_uint8(images(numbers).cpu()), PAIRS) for images in (first, second)
    ]
    return media.captioned(list(zip(names, strips, strict=True)))


def write(result: Any, generated: Images, numbers: np.ndarray, data: Any, out: Path) -> None:
    """The pictures that belong to a ``quality.Result``: ``nearest.png``, ``prevalence.png``."""
    if result.memory is not None:
        picture = nearest(result.memory, generated, numbers, data.raw_images, result.known)
        media.save_png(picture, out / "nearest.png")
    for score in result.scores.values():
        if "labels" in score.more:
            media.save_png(prevalence(score.more["labels"], score.n), out / "prevalence.png")
