"""Writing generated images: single PNGs or one npz array."""

import csv
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import torch
from torch import Tensor
from tqdm import tqdm

from facegan.files import replacing, write_npy_header
from facegan.gan.gan import GAN
from facegan.gan.latents import sample_latents
from facegan.gan.settings import SampleSettings
from facegan.pictures.scaling import to_uint8
from facegan.pictures.sheets import SHEET, grid, picture, save_png

log = logging.getLogger(__name__)

GRID_IMAGES = 64  # pictures in grid.png, at most


def write_samples(
    gan: GAN, settings: SampleSettings, out: Path, asked: Mapping[str, float] | None = None
) -> None:
    """Write ``settings.n`` generated images to the directory ``out``, and a grid of the first 64.

    Picture i of a seed is the same whatever ``n`` and ``batch_size`` are. Memory does not grow
    with ``n``. A conditional generator is ``asked`` for these label values (see
    :meth:`Conditions.draw`); ``conditions.csv`` lists those of every picture.
    """
    out.mkdir(parents=True, exist_ok=True)
    write = _write_npz if settings.format == "npz" else _write_pngs
    first = write(_batches(gan, settings, asked or {}), gan, settings, out)
    if gan.conditions.names:
        _write_conditions(gan, settings, out / "conditions.csv", asked or {})
    if settings.grid:
        save_png(grid(first, columns=min(8, len(first))), out / SHEET)


def _write_conditions(
    gan: GAN, settings: SampleSettings, path: Path, asked: Mapping[str, float]
) -> None:
    conditions = gan.conditions
    values = conditions.draw(settings.n, settings.seed, asked=asked).tolist()
    if conditions.classes:
        values = [[conditions.classes[int(value)]] for (value,) in values]
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", *conditions.names])
        writer.writerows([number, *row] for number, row in enumerate(values))


def _batches(gan: GAN, settings: SampleSettings, asked: Mapping[str, float]) -> Iterator[Tensor]:
    """The images as uint8 (at most batch_size, C, H, W), with a progress bar."""
    with tqdm(total=settings.n, unit="face", desc="Sampling", disable=None) as bar:
        for start in range(0, settings.n, settings.batch_size):
            count = min(settings.batch_size, settings.n - start)
            latent_dim = gan.settings.latent_dim
            z = sample_latents(count, latent_dim, settings.seed, start, settings.truncation)
            labels = gan.conditions.draw(count, settings.seed, start, asked)
            yield to_uint8(gan.sample(z, labels)).cpu()
            bar.update(count)


def _write_pngs(batches: Iterator[Tensor], gan: GAN, settings: SampleSettings, out: Path) -> Tensor:
    """``000000.png`` and on; returns the first GRID_IMAGES images."""
    digits = max(6, len(str(settings.n - 1)))
    numbered = (path for path in out.glob("*.png") if re.fullmatch(r"\d+", path.stem))
    if stale := sum(int(path.stem) >= settings.n for path in numbered):
        log.warning("%s still holds %d pictures of an earlier sampling.", out, stale)
    first: list[Tensor] = []
    number = 0
    for batch in batches:
        for image in batch:
            save_png(picture(image), out / f"{number:0{digits}d}.png")
            if number < GRID_IMAGES:
                first.append(image)
            number += 1
    return torch.stack(first)


def _write_npz(batches: Iterator[Tensor], gan: GAN, settings: SampleSettings, out: Path) -> Tensor:
    """``samples.npz`` with ``images`` uint8 (N, H, W, C), as most evaluation tools read it."""
    size = gan.settings.image_size
    first: list[Tensor] = []
    with (
        replacing(out / "samples.npz") as partial,
        ZipFile(partial, "w", ZIP_STORED) as archive,
        archive.open("images.npy", "w", force_zip64=True) as file,
    ):
        write_npy_header(file, (settings.n, size, size, gan.settings.channels))
        for batch in batches:
            file.write(batch.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
            first.extend(batch[: GRID_IMAGES - len(first)])
    return torch.stack(first)
