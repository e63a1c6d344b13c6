"""Probe and clusters for every checkpoint of a run: when D has learned what."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from facegan.data.labels import Labels
from facegan.data.module import ImageDataModule
from facegan.gan.checkpoint import load_gan, read_checkpoint
from facegan.gan.gan import GAN
from facegan.probes import report
from facegan.probes.settings import ProbeSettings
from facegan.probes.study import study_of, untrained

log = logging.getLogger(__name__)

Agreement = Callable[[np.ndarray, Labels], dict[str, float]]


def probe_checkpoints(
    gan: GAN,
    checkpoints: Iterable[Path],
    data: ImageDataModule,
    settings: ProbeSettings,
    out: Path,
    agreement: Agreement,
) -> list[dict[str, float]]:
    """Probe the untrained discriminator and that of each of ``checkpoints``, by images seen.

    Writes ``curve.csv`` and its picture into ``out`` and returns the rows.

    Args:
        gan: of any checkpoint of the run: gives the architecture and the device.
        agreement: clusters points (n, c) of the test images and says how well the clusters agree
            with each label, as ``nmi/LABEL``.
    """
    study = study_of(gan, data, settings)
    task = study.task
    labels = task.labels(data, task.test)
    seen = {int(read_checkpoint(path)["images_seen"]): path for path in checkpoints}
    rows: list[dict[str, float]] = []
    for images, path in [(0, None), *sorted(seen.items())]:
        if path is None:
            discriminator = untrained(gan, settings.seed)
        else:
            discriminator = load_gan(path, str(gan.device)).discriminator
        points = study.points(discriminator, f"D after {images:,} images")
        overall = report.overall(study.score(study.fit(points, task.train.stop)))
        nmi = agreement(points[task.test].numpy(), labels)
        rows.append({"images_seen": images, **report.flat(overall), **nmi})
        log.info("%s images: accuracy %s", f"{images:,}", overall["accuracy"])
    report.write_curve(rows, out)
    log.info("Curves are in %s", out)
    return rows
