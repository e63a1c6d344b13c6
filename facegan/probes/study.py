"""Linear probes on a discriminator's features, beside their references."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facegan.data.module import ImageDataModule
from facegan.devices import usable_device
from facegan.features.classifier import Classifier
from facegan.features.linear import fit_probe
from facegan.features.reading import calibrated, reader
from facegan.features.reduction import FIT_ROWS, reduce
from facegan.features.stream import read_all, stream
from facegan.features.training import seeded
from facegan.gan.gan import GAN
from facegan.probes import report
from facegan.probes.network import label_network
from facegan.probes.scores import Scores, majority, score
from facegan.probes.settings import NetworkSettings, ProbeSettings
from facegan.probes.task import Task, task_of

log = logging.getLogger(__name__)

FEATURES = "features of D"  # name of the probe itself in tables

Results = dict[str, dict[str, Scores]]  # by what is read, and by label


@dataclass(frozen=True)
class Study:
    """A task on one data set, shared by all its probes."""

    settings: ProbeSettings
    data: ImageDataModule
    task: Task
    device: torch.device

    def points(self, discriminator: nn.Module | None, title: str) -> Tensor:
        """Principal components (N, c) of the features of all rows, fitted on train.

        ``None``: of their pixels. ``title``: of the progress bar.
        """
        task, settings = self.task, self.settings
        images_of = partial(self.data.images, device=self.device)
        if discriminator is None:
            read = reader("pixels")
        else:
            network = calibrated(discriminator, images_of, task.rows[task.train])
            read = reader("features", network, settings.layers)
        _, points = reduce(
            stream(read, images_of, task.rows, f"Reading {title}"),
            len(task.rows),
            settings.components,
            whiten=False,
            seed=settings.seed,
            fit_rows=min(FIT_ROWS, task.train.stop),
        )
        return points

    def fit(self, points: Tensor, count: int) -> np.ndarray:
        """Test logits (n, heads) of a linear probe fitted to the first ``count`` of train."""
        task = self.task
        train, val = (torch.from_numpy(task.targets[part]) for part in (task.train, task.val))
        probe = fit_probe(
            points[task.train][:count],
            train[:count],
            (points[task.val], val),
            task.problem.heads,
            self.settings.probe,
        )
        return probe(points[task.test]).detach().numpy()

    def logits(self, network: Classifier) -> np.ndarray:
        """Test logits (n, heads) of a network that reads images."""
        images_of = partial(self.data.images, device=network.device)
        rows = self.task.rows[self.task.test]
        return read_all(network.logits, images_of, rows, "Test images").numpy()

    def score(self, logits: np.ndarray) -> dict[str, Scores]:
        """Scores of test logits (n, heads), by label."""
        truth = self.task.targets[self.task.test]
        return score(logits, truth, self.task.problem, self.settings.bootstrap, self.settings.seed)

    def facts(self, checkpoint: Path | None) -> dict[str, Any]:
        """Further content of ``scores.json``."""
        sizes = {
            part: self.task.size(getattr(self.task, part)) for part in ("train", "val", "test")
        }
        name = None if checkpoint is None else str(checkpoint)
        return {"checkpoint": name, "probe": self.settings.probe, **sizes}


def study_of(gan: GAN, data: ImageDataModule, settings: ProbeSettings) -> Study:
    """The study of what ``gan``'s discriminator has learned about ``data``.

    Raises InputError for layers it does not have, before the data are packed, and for labels that
    cannot be predicted.
    """
    reader("features", gan.discriminator, settings.layers)
    return Study(settings, data, task_of(data, settings.attributes, settings.seed), gan.device)


def probe(
    gan: GAN,
    data: ImageDataModule,
    settings: ProbeSettings,
    out: Path,
    network: NetworkSettings | None = None,
    checkpoint: Path | None = None,
) -> Results:
    """Probe the features of ``gan``'s discriminator beside ``settings.references``.

    Writes tables and pictures into ``out`` and returns the scores on test. ``network``: of the
    reference ``cnn``; ``checkpoint``: recorded in ``scores.json``.
    """
    study = study_of(gan, data, settings)
    task, references = study.task, settings.references
    discriminators: dict[str, nn.Module | None] = {FEATURES: gan.discriminator}
    if "pixels" in references:
        discriminators["pixels"] = None
    if "untrained" in references:
        discriminators["untrained"] = untrained(gan, settings.seed)

    by_count: dict[str, dict[int, dict[str, Scores]]] = {}
    logits: dict[str, np.ndarray] = {}
    for name, discriminator in discriminators.items():
        logits[name], by_count[name] = _probed(study, discriminator, name)
    results = {FEATURES: by_count[FEATURES][task.train.stop]}
    if "majority" in references:
        guess = majority(task.targets[task.train], task.problem, task.size(task.test))
        results["majority"] = study.score(guess)
    results |= {name: scores[task.train.stop] for name, scores in by_count.items()}

    facts = study.facts(checkpoint)
    report.write_scores(results, facts, out)
    report.write_efficiency(by_count, out)
    report.draw_scores(results, out)
    report.draw_efficiency(by_count, out)
    report.draw_confusion(logits[FEATURES], task.targets[task.test], task.problem, out)
    if "cnn" in references:  # after the others are written: its training takes longest
        reference = label_network(
            task,
            data,
            network or NetworkSettings(),
            study.device,
            seed=settings.seed,
            width=gan.settings.width_d,
            blocks=gan.settings.blocks,
            out=out,
        )
        results["cnn"] = study.score(study.logits(reference))
        report.write_scores(results, facts, out)
        report.draw_scores(results, out)
    log.info("Tables and pictures are in %s", out)
    return results


def probe_network(
    data: ImageDataModule,
    settings: ProbeSettings,
    out: Path | None = None,
    network: NetworkSettings | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
) -> Results:
    """Score the label network of ``data``, which is trained first where there is none.

    It is kept beside the packed images, for all runs on them. Writes tables and pictures into
    ``out`` (default: beside the packed images, too) and returns the scores on test.
    """
    device = usable_device(device)
    network = network or NetworkSettings()
    out = data.store.path / "classify" if out is None else out
    task = task_of(data, settings.attributes, settings.seed)
    study = Study(settings, data, task, device)
    model = label_network(
        task, data, network, study.device, seed=settings.seed, width=network.width
    )
    logits = study.logits(model)
    results = {"cnn": study.score(logits)}
    report.write_scores(results, study.facts(checkpoint), out)
    report.draw_scores(results, out)
    report.draw_confusion(logits, task.targets[task.test], task.problem, out)
    log.info("Tables and pictures are in %s", out)
    return results


def untrained(gan: GAN, seed: int) -> nn.Module:
    """A discriminator of the same shape with new weights."""
    with seeded(seed):
        settings: Mapping[str, Any] = gan.hparams
        return GAN(**settings).discriminator.to(gan.device)


def _probed(
    study: Study, discriminator: nn.Module | None, name: str
) -> tuple[np.ndarray, dict[int, dict[str, Scores]]]:
    """Test logits of the probe fitted to all of train, and scores by number of images it saw."""
    points = study.points(discriminator, name)
    total = study.task.train.stop
    scores = {}
    for count in [*sorted({n for n in study.settings.labels if n < total}), total]:
        log.info("%s: probe on %s labelled images …", name, f"{count:,}")
        logits = study.fit(points, count)
        scores[count] = study.score(logits)
    return logits, scores
