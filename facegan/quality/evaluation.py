"""Measure a candidate, a generator or a folder of pictures, against a reference set."""

import hashlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facegan import __version__
from facegan.data.module import ImageDataModule
from facegan.devices import usable_device
from facegan.features.stream import Images
from facegan.files import expect_writable, write_json
from facegan.gan.gan import GAN
from facegan.pictures.sheets import save_png
from facegan.quality import report
from facegan.quality.measuring import check_asked
from facegan.quality.metrics.adherence import Asked
from facegan.quality.reference import ReferenceSet
from facegan.quality.scores import QualityResult
from facegan.run_dir import run_dir_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """Generated images to be measured.

    Attributes:
        name: for tables and captions.
        numbers: of the images that are measured (n,).
        facts: where they come from, for ``evaluation.json``.
        latent_dim: of a generator; ``None`` for pictures.
        asked: what they were asked for, of a generator that obeys labels.
    """

    name: str
    images_of: Images
    numbers: np.ndarray
    image_size: int
    channels: int
    facts: Mapping[str, Any]
    latent_dim: int | None = None
    asked: Asked | None = None

    @classmethod
    def of_gan(cls, gan: GAN, checkpoint: Path, n: int, seed: int) -> "Candidate":
        """The averaged generator of ``gan``, loaded from ``checkpoint``, on ``n`` latents."""
        run_dir, settings = run_dir_of(checkpoint), gan.settings
        facts = {
            "versions": _versions(),
            "checkpoint": str(checkpoint),
            "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
            "images_seen": gan.images_seen,
            "latent_dim": settings.latent_dim,
            "n": n,
        }
        return cls(
            name=run_dir.name if checkpoint.stem == "last" else f"{run_dir.name}/{checkpoint.stem}",
            images_of=gan.images_of(n, seed),
            numbers=np.arange(n),
            image_size=settings.image_size,
            channels=settings.channels,
            facts=facts,
            latent_dim=settings.latent_dim,
            asked=Asked.of(gan, n, seed),
        )

    @classmethod
    def of_pictures(
        cls, data: ImageDataModule, folder: Path, n: int, seed: int, device: torch.device | str
    ) -> "Candidate":
        """``n`` pictures of ``folder``, the images of ``data``; all if there are fewer."""
        device = usable_device(device)
        count = len(data.store)
        numbers = np.random.default_rng(seed).permutation(count)[:n]
        counts = {"n": len(numbers), "of": count}
        return cls(
            name=folder.name,
            images_of=partial(data.images, device=device),
            numbers=numbers,
            image_size=data.image_size,
            channels=data.channels,
            facts={"versions": _versions(), "samples": str(folder), **counts},
        )


def evaluate_candidate(reference: ReferenceSet, candidate: Candidate, out: Path) -> QualityResult:
    """Measure ``candidate``, log its scores, write ``evaluation.json`` and pictures into ``out``.

    Raises InputError, before anything is read, where nothing can be written to ``out``.
    """
    expect_writable(out)
    result = measure(reference, candidate, out)
    log.info("%s:\n%s", sizes(reference, candidate), report.score_table(result.scores))
    log.info("Everything is in %s", out)
    return result


def measure(reference: ReferenceSet, candidate: Candidate, out: Path) -> QualityResult:
    """:func:`evaluate_candidate` without its messages."""
    images_of, numbers = candidate.images_of, candidate.numbers
    check_asked(reference.settings, reference.extractor, candidate.asked)
    vectors = reference.vectors(images_of, numbers)
    result = reference.scores(vectors, images_of, numbers, candidate.asked)
    data, extractor = reference.data, reference.extractor
    content = {
        **candidate.facts,
        "seed": reference.settings.seed,
        "split": reference.settings.split,
        "real": len(reference.rows),
        "data": data.name,
        "store": data.store.path.name,
        "extractor": {"name": extractor.name, "weights": extractor.key},
        **{name: score.content() for name, score in result.scores.items()},
    }
    write_json(out / "evaluation.json", content)
    report.write(result, images_of, numbers, data, out)
    save_png(report.samples(images_of, numbers), out / "generated.png")
    return result


def sizes(reference: ReferenceSet, candidate: Candidate) -> str:
    """The numbers of generated and real images, in words."""
    real = f"{len(reference.rows):,} real images of {reference.data.name}"
    return f"{len(candidate.numbers):,} generated against {real}"


def _versions() -> dict[str, str]:
    versions = {"facegan": __version__}
    for package in ("torch", "torchvision", "torchmetrics", "torch-fidelity"):
        with suppress(PackageNotFoundError):  # the last is optional
            versions[package] = version(package)
    return versions
