"""Generate faces with a trained GAN: ``python -m facegan.sample ckpt=RUN_DIR n=64``."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from facegan.cli.inputs import out_dir
from facegan.cli.run import run
from facegan.errors import expect, expect_int, expect_number, expect_one_of
from facegan.gan.sampling import _write_npz, _write_pngs
from facegan.run_dir import run_dir_of

log = logging.getLogger(__name__)


def sample(cfg: DictConfig) -> None:
    """Write ``cfg.n`` generated faces, as pictures or as one array, and a grid of the first ones.

    Picture i of a seed is the same whatever ``n`` and ``batch_size`` are. Memory does not grow
    with ``n``.
    """
    _check_values(cfg)
    from facegan.gan.checkpoint import load_gan

    model, path = load_gan(cfg.ckpt, cfg.device)
    out = out_dir(cfg, _default_out(path, cfg))
    out.mkdir(parents=True, exist_ok=True)
    first = _write_npz(model, cfg, out) if cfg.format == "npz" else _write_pngs(model, cfg, out)
    if cfg.grid:
        from facegan.pictures.sheets import SHEET, grid, save_png

        columns = min(8, len(first))
        save_png(grid(first, columns), out / SHEET)
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


def main() -> None:
    run(sample, "sample")


if __name__ == "__main__":
    main()
