"""Predict the attributes of pictures, or of a generator's images."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from facegan.data.module import ImageDataModule
from facegan.errors import InputError
from facegan.features.classifier import Classifier, load_classifier, predict
from facegan.features.extractors import find_label_network
from facegan.features.stream import Images, read_all
from facegan.files import write_csv
from facegan.gan.gan import GAN
from facegan.probes import report


def find_network(
    ckpt: str | None,
    data: ImageDataModule | None,
    attributes: Sequence[str] | None,
    device: torch.device | str,
) -> Classifier:
    """The label network in the file ``ckpt``; ``None``: that of ``data`` for ``attributes``.

    ``attributes=None``: for all labels. Raises InputError where there is none, or several.
    """
    if ckpt is not None:
        return load_classifier(Path(ckpt).expanduser(), device)
    assert data is not None, "either a file or data"
    names = attributes or data.label_names
    return load_classifier(find_label_network(data.store.path, names, "cnn.ckpt"), device)


def label_generated(network: Classifier, gan: GAN, n: int, seed: int, out: Path) -> np.ndarray:
    """Label the first ``n`` images of ``gan`` for ``seed``; see :func:`label_pictures`."""
    drawn, read = gan.settings, network.settings
    if (drawn.image_size, drawn.channels) != (read.image_size, read.channels):
        raise InputError(
            f"The generator of label= draws {drawn.image_size} px with {drawn.channels} channels, "
            f"but the label network reads {read.image_size} px with {read.channels}."
        )
    names = [f"{number:06d}" for number in range(n)]
    return _label(network, names, gan.images_of(n, seed), out)


def label_pictures(network: Classifier, data: ImageDataModule, out: Path) -> np.ndarray:
    """Label all pictures of ``data``.

    Writes ``labels.csv`` (a row for each), ``prevalence.csv`` and ``prevalence.png`` into ``out``.
    Returns what is predicted: bool (N, heads).
    """
    return _label(network, data.store.names, partial(data.images, device=network.device), out)


def _label(network: Classifier, names: Sequence[str], images_of: Images, out: Path) -> np.ndarray:
    settings = network.settings
    logits = read_all(network.logits, images_of, np.arange(len(names)), "Labelling")
    heads = settings.classes or settings.names
    predicted = predict(logits, settings.classes is not None).numpy()
    rows = [
        {"name": name, **dict(zip(heads, map(int, row), strict=True))}
        for name, row in zip(names, predicted, strict=True)
    ]
    write_csv(out / "labels.csv", ["name", *heads], rows)
    real = network.seen_prevalence.cpu().numpy()
    report.write_prevalence(heads, predicted, real, settings.prevalence, out)
    return predicted
