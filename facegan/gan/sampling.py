"""Write generated images: single PNGs or one npz array."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile

from omegaconf import DictConfig

from facegan.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from facegan.gan.gan import GAN
log = logging.getLogger(__name__)

GRID = 64  # pictures in grid.png, at the most


def _batches(model: "GAN", cfg: DictConfig) -> Iterator["Tensor"]:
    """The faces as uint8 (at most batch_size, C, H, W), with a progress bar."""
    from tqdm import tqdm

    from facegan.gan.latents import sample_latents
    from facegan.pictures.scaling import to_uint8

    with tqdm(total=cfg.n, unit="face", desc="Sampling", disable=None) as bar:
        for start in range(0, cfg.n, cfg.batch_size):
            count = min(cfg.batch_size, cfg.n - start)
            z = sample_latents(count, model.settings.latent_dim, cfg.seed, start, cfg.truncation)
            yield to_uint8(model.sample(z)).cpu()
            bar.update(count)


def _write_pngs(model: "GAN", cfg: DictConfig, out: Path) -> "Tensor":
    """``000000.png`` and on; returns the first pictures, for the grid."""
    import torch

    from facegan.pictures.sheets import picture, save_png

    digits = max(6, len(str(cfg.n - 1)))
    stale = [p for p in out.glob("*.png") if re.fullmatch(r"\d+", p.stem) and int(p.stem) >= cfg.n]
    if stale:
        log.warning("%s holds %d pictures of an earlier sampling beside these.", out, len(stale))
    first: list[Tensor] = []
    number = 0
    for batch in _batches(model, cfg):
        for image in batch:
            save_png(picture(image), out / f"{number:0{digits}d}.png")
            if number < GRID:
                first.append(image)
            number += 1
    return torch.stack(first)


def _write_npz(model: "GAN", cfg: DictConfig, out: Path) -> "Tensor":
    """``samples.npz`` with ``images`` uint8 (N, H, W, C), the layout of most evaluation tools."""
    import torch
    from numpy.lib import format as npy

    hp = model.settings
    shape = (cfg.n, hp.image_size, hp.image_size, hp.channels)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    first, kept = [], 0
    with (
        replacing(out / "samples.npz") as partial,
        ZipFile(partial, "w", ZIP_STORED) as archive,
        archive.open("images.npy", "w", force_zip64=True) as file,
    ):
        npy.write_array_header_1_0(file, header)
        for batch in _batches(model, cfg):
            file.write(batch.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
            if kept < GRID:
                first.append(batch[: GRID - kept])
                kept += len(first[-1])
    return torch.cat(first)
