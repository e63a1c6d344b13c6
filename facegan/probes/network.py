"""Train the network that predicts labels, and keep it only when it is finished."""

import hashlib
import logging
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from facegan.data.module import ImageDataModule
from facegan.errors import InputError, WriteError
from facegan.features.classifier import Classifier, balancing, load_classifier
from facegan.features.extractors import NETWORKS
from facegan.features.training import fit_classifier, seeded
from facegan.files import alone
from facegan.gan.checkpoint import AtomicCheckpointIO
from facegan.probes.settings import NetworkSettings
from facegan.probes.task import Task

log = logging.getLogger(__name__)


def label_network(
    task: Task,
    data: ImageDataModule,
    settings: NetworkSettings,
    device: torch.device,
    *,
    seed: int,
    width: int,
    blocks: int | None = None,
    out: Path | None = None,
) -> Classifier:
    """The network for ``task``: the one in ``settings.ckpt``, or the one trained for it before.

    Where there is none yet, it is trained and kept beside the packed images, for every run on
    them; with ``out``, in that directory instead. Which network it is depends on the images, the
    labels, the settings, ``seed``, ``width`` and ``blocks`` (as in Discriminator) alone, and on
    whether ``data`` mirrors images: that may change a label, so such runs share no network.
    """
    if settings.ckpt is not None:
        return _load_checked(Path(settings.ckpt).expanduser(), task, data, device)
    data = _in_batches(data, min(settings.batch_size, task.train.stop))
    # This text is hashed into the file's name: another wording would train every network again.
    made_from = (
        f"{data.store.path.name}, {len(task.rows):,} images, seed={seed}, "
        f"max_epochs={settings.max_epochs}, patience={settings.patience}, lr={settings.lr}, "
        f"weighting={settings.weighting}, width={width}, blocks={blocks}, "
        f"batch_size={data.settings.batch_size}, flip={data.flip}"
    )
    identity = hashlib.sha256(f"{list(task.problem.names)} {made_from}".encode()).hexdigest()[:12]
    path = data.store.path / NETWORKS / f"{identity}.ckpt"
    if out is not None and not path.is_file():
        path = out / f"cnn_{identity}.ckpt"
    if path.is_file():
        log.info("Using the network in %s", path)
        return load_classifier(path, device)
    log.info("Training a network of width %d on %s images …", width, f"{task.size(task.train):,}")
    with seeded(seed, device):
        network = _new_network(task, data, settings, width, blocks, made_from)
        train_classifier(network, data, path, device, settings.max_epochs, settings.patience)
    log.info("The network is %s", path)
    return load_classifier(path, device)


def train_classifier(
    network: Classifier,
    data: ImageDataModule,
    path: Path,
    device: torch.device,
    max_epochs: int,
    patience: int,
) -> None:
    """Train ``network`` on ``data`` and write the epoch with the lowest loss on val to ``path``.

    If another process has written ``path`` meanwhile, that file stays. Raises InterruptedRun on a
    signal, and WriteError if a checkpoint cannot be written; an unfinished network is not kept.
    """
    with alone(path), TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}_") as unfinished:
        if path.is_file():
            return
        try:
            best = fit_classifier(
                *(network, data, Path(unfinished), device, max_epochs, patience),
                AtomicCheckpointIO(),  # not by way of the system's temporary directory
            )
        except WriteError as error:
            reason = getattr(error.__cause__, "strerror", None) or error
            raise WriteError(
                f"The label network cannot be written to {path.parent} ({reason}): make room and "
                "run the command again; it is trained from the start."
            ) from error
        best.replace(path)


def _in_batches(data: ImageDataModule, size: int) -> ImageDataModule:
    """The same data in batches of ``size``, whatever those of the run that asks are."""
    data = copy(data)  # also leaves the caller's without a trainer
    sizes = {"batch_size": size, "global_batch_size": None}
    data.settings = data.settings.model_copy(update=sizes)
    return data


def _load_checked(
    path: Path, task: Task, data: ImageDataModule, device: torch.device
) -> Classifier:
    network = load_classifier(path, device)
    settings, classes = network.settings, task.problem.classes
    wanted = [
        list(task.problem.names),
        None if classes is None else list(classes),
        data.image_size,
        data.channels,
    ]
    if [settings[key] for key in ("names", "classes", "image_size", "channels")] != wanted:
        raise InputError(
            f"cnn.ckpt={path} predicts {', '.join(settings.names)} from images of "
            f"{settings.image_size} px with {settings.channels} channels; needed is one for "
            f"{', '.join(task.problem.names)}, {data.image_size} px and {data.channels} channels."
        )
    return network


def _new_network(
    task: Task,
    data: ImageDataModule,
    settings: NetworkSettings,
    width: int,
    blocks: int | None,
    made_from: str,
) -> Classifier:
    problem, prevalence = task.problem, torch.from_numpy(task.prevalence()).float()
    weights = balancing(prevalence, problem.classes is not None)
    return Classifier(
        data.image_size,
        data.channels,
        width,
        list(problem.names),
        list(task.columns),
        prevalence.tolist(),
        classes=None if problem.classes is None else list(problem.classes),
        weights=weights.tolist() if settings.weighting == "balanced" else None,
        blocks=blocks,
        lr=settings.lr,
        made_from=made_from,
    )
