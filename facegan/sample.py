"""Generate faces with a trained GAN: ``python -m facegan.sample ckpt=RUN_DIR n=64``."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile

from omegaconf import DictConfig

from facegan import config
from facegan.errors import expect, expect_int, expect_number, expect_one_of
from facegan.files import replacing
from facegan.run_dir import run_dir_of

if TYPE_CHECKING:  # at run time only once there is something to sample: --help must be quick
    from torch import Tensor

    from facegan.gan import GAN

log = logging.getLogger(__name__)

GRID = 64  # pictures in grid.png, at the most


def sample(cfg: DictConfig) -> None:
    """Write ``cfg.n`` generated faces, as pictures or as one array, and a grid of the first ones.

    Picture i of a seed is the same whatever ``n`` and ``batch_size`` are. Memory does not grow
    with ``n``.
    """
    _check_values(cfg)
    from facegan.checkpoint import load_gan

    model, path = load_gan(cfg.ckpt, cfg.device)
    out = config.out_dir(cfg, _default_out(path, cfg))
    out.mkdir(parents=True, exist_ok=True)
    first = _write_npz(model, cfg, out) if cfg.format == "npz" else _write_pngs(model, cfg, out)
    if cfg.grid:
        from facegan import media

        columns = min(8, len(first))
        media.save_png(media.grid(first, columns), out / media.SHEET)
    log.info("%s faces of seed %d are in %s", f"{cfg.n:,}", cfg.seed, out)


def _check_values(cfg: DictConfig) -> None:
    expect(cfg.ckpt is not None, "Say which generator to use: ckpt=FILE or ckpt=RUN_DIR.")
    expect_int("n", cfg.n, at_least=1)
    expect_int("seed", cfg.seed, at_least=0)
    expect_int("batch_size", cfg.batch_size, at_least=1)
    expect_one_of("format", cfg.format, ("png", "npz"))
    expect_one_of("grid", cfg.grid, (True, False))
    if cfg.truncation is not None:
        expect_number("truncation", cfg.truncation, low=0.01)


def _default_out(checkpoint: Path, cfg: DictConfig) -> Path:
    name = f"{checkpoint.stem}_seed{cfg.seed}_n{cfg.n}"
    if cfg.truncation is not None:
        name += f"_truncation{cfg.truncation:g}"
    return run_dir_of(checkpoint) / "generated" / name


def _batches(model: "GAN", cfg: DictConfig) -> Iterator["Tensor"]:
    """The faces as uint8 (at most batch_size, C, H, W), with a progress bar."""
    from tqdm import tqdm

    from facegan.latent import sample_latents
    from facegan.media import to_uint8

    with tqdm(total=cfg.n, unit="face", desc="Sampling", disable=None) as bar:
        for start in range(0, cfg.n, cfg.batch_size):
            count = min(cfg.batch_size, cfg.n - start)
            z = sample_latents(count, model.hp.latent_dim, cfg.seed, start, cfg.truncation)
            yield to_uint8(model.sample(z)).cpu()
            bar.update(count)


def _write_pngs(model: "GAN", cfg: DictConfig, out: Path) -> "Tensor":
    """``000000.png`` and on; returns the first pictures, for the grid."""
    import torch

    from facegan import media

    digits = max(6, len(str(cfg.n - 1)))
    stale = [p for p in out.glob("*.png") if re.fullmatch(r"\d+", p.stem) and int(p.stem) >= cfg.n]
    if stale:
        log.warning("%s holds %d pictures of an earlier sampling beside these.", out, len(stale))
    first: list[Tensor] = []
    number = 0
    for batch in _batches(model, cfg):
        for image in batch:
            media.save_png(media.picture(image), out / f"{number:0{digits}d}.png")
            if number < GRID:
                first.append(image)
            number += 1
    return torch.stack(first)


def _write_npz(model: "GAN", cfg: DictConfig, out: Path) -> "Tensor":
    """``samples.npz`` with ``images`` uint8 (N, H, W, C), the layout of most evaluation tools."""
    import torch
    from numpy.lib import format as npy

    hp = model.hp
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


def main() -> None:
    config.run(sample, "sample")


if __name__ == "__main__":
    main()
