"""Generate faces with a trained GAN: ``python -m facegan.sample ckpt=RUN_DIR n=64``."""

import logging
from pathlib import Path
from typing import Any

from facegan.cli.conf import plain
from facegan.cli.inputs import load_gan, out_dir
from facegan.cli.run import run
from facegan.cli.settings import CommandSettings
from facegan.errors import InputError
from facegan.gan.settings import SampleSettings
from facegan.run_dir import run_dir_of

log = logging.getLogger(__name__)


def sample(cfg: Any) -> None:
    """Write ``cfg.n`` generated faces, as pictures or as one array."""
    content = plain(cfg)
    settings = SampleSettings.pick(content)
    if CommandSettings.pick(content).ckpt is None:
        raise InputError("Say which generator to use: ckpt=FILE or ckpt=RUN_DIR.")
    from facegan.gan import sampling  # here: --help needs no torch

    gan, file = load_gan(cfg, cfg.ckpt)
    out = out_dir(cfg, run_dir_of(file) / "generated" / _default_name(file, settings))
    sampling.write_samples(gan, settings, out)
    log.info("%s faces of seed %d are in %s", f"{settings.n:,}", settings.seed, out)


def _default_name(checkpoint: Path, settings: SampleSettings) -> str:
    name = f"{checkpoint.stem}_seed{settings.seed}_n{settings.n}"
    return name if settings.truncation is None else f"{name}_truncation{settings.truncation:g}"


def main() -> None:
    run(sample, "sample")


if __name__ == "__main__":
    main()
