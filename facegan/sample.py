"""Generate faces with a trained GAN: ``python -m facegan.sample ckpt=RUN_DIR n=64``."""

import logging
import re
from collections.abc import Mapping
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
    typed = dict(content.get("condition") or {})
    if settings.cluster is not None:
        typed["cluster"] = settings.cluster
    asked = gan.conditions.read(typed)
    out = out_dir(cfg, run_dir_of(file) / "generated" / _default_name(file, settings, typed))
    if asked:
        log.info(_share(gan.conditions.share(asked)))
    sampling.write_samples(gan, settings, out, asked)
    log.info("%s faces of seed %d are in %s", f"{settings.n:,}", settings.seed, out)


def _share(share: float) -> str:
    if share == 0:
        return "No training image has what is asked for; the other labels are as in all images."
    return f"{share:.2%} of the training images have what is asked for."


def _default_name(checkpoint: Path, settings: SampleSettings, asked: Mapping[str, Any]) -> str:
    name = f"{checkpoint.stem}_seed{settings.seed}_n{settings.n}"
    if settings.truncation is not None:
        name += f"_truncation{settings.truncation:g}"
    return "_".join([name, *(re.sub(r"[^\w.-]", "-", f"{k}={v}") for k, v in asked.items())])


def with_conditions(arguments: list[str]) -> list[str]:
    """The overrides ``condition.LABEL=VALUE`` in one, ``condition={LABEL: VALUE}``.

    Labels are those of the data, which no configuration lists, and need not be names to Hydra.
    """
    prefix = "condition."
    asked = [argument.removeprefix(prefix) for argument in arguments if argument.startswith(prefix)]
    if not asked:
        return arguments
    pairs = ", ".join(": ".join(argument.split("=", 1)) for argument in asked)
    others = [argument for argument in arguments if not argument.startswith(prefix)]
    return [*others, f"+condition={{{pairs}}}"]


def main() -> None:
    run(sample, "sample", with_conditions)


if __name__ == "__main__":
    main()
