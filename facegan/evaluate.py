"""Score generated images against real ones: ``python -m facegan.evaluate ckpt=RUN_DIR``.

With ``samples=DIR``, score a folder of pictures; with ``'compare=[RUN_A,RUN_B]'``, test whether two
generators differ.
"""

import logging
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from facegan.cli.conf import plain
from facegan.cli.inputs import build_data, image_shape, load_gan, out_dir, pictures_in
from facegan.cli.run import run
from facegan.cli.run_data import settings_of_data, with_data_of_the_run
from facegan.cli.settings import CommandSettings
from facegan.errors import InputError
from facegan.quality.settings import EvaluationSettings
from facegan.run_dir import run_dir_of
from facegan.settings import checked

log = logging.getLogger(__name__)


def evaluate(cfg: Any) -> None:
    """Evaluate a checkpoint or a folder of pictures, or compare two checkpoints."""
    if sum(cfg[key] is not None for key in ("ckpt", "samples", "compare")) != 1:
        raise InputError(
            "Say what to evaluate: ckpt=FILE or RUN_DIR, samples=DIR, or 'compare=[RUN_A,RUN_B]'."
        )
    config = plain(cfg)
    command, settings = CommandSettings.pick(config), EvaluationSettings.pick(config)
    checkpoints = [command.ckpt]
    if config["compare"] is not None:
        form = "a list like [RUN_A,RUN_B]"
        checkpoints = checked("compare", config["compare"], list, form)
        if len(checkpoints) != 2:
            raise InputError(f"compare takes two runs, not {len(checkpoints)}.")
    from facegan.quality import comparison, evaluation, reference  # here: --help needs no torch

    if cfg.samples is not None:
        shape = image_shape(cfg, "samples=DIR")
        folder = Path(str(cfg.samples)).expanduser()
        if not folder.is_dir():
            raise InputError(f"samples={folder} is not a directory.")
        out = out_dir(cfg, folder.parent / f"{folder.name}_evaluation")
        data, pictures = build_data(cfg, shape), pictures_in(folder, cfg, shape, "samples")
        one = evaluation.Candidate.of_pictures(
            pictures, folder, settings.n, settings.seed, command.device
        )
        settings = settings.model_copy(update={"n": len(one.numbers)})
        real = reference.ReferenceSet(settings, data, command.device)
        evaluation.evaluate_candidate(real, _with_command(one), out)
        return
    gans, paths = zip(*(load_gan(cfg, checkpoint) for checkpoint in checkpoints), strict=True)
    candidates = [
        _with_command(evaluation.Candidate.of_gan(gan, path, settings.n, settings.seed))
        for gan, path in zip(gans, paths, strict=True)
    ]
    out = run_dir_of(paths[0]) / "evaluation" / paths[0].stem
    if len(candidates) == 2:
        if candidates[0].name == candidates[1].name:  # jobs of two sweeps
            pairs = zip(candidates, checkpoints, strict=True)
            candidates = [replace(candidate, name=str(name)) for candidate, name in pairs]
        first, second = (candidate.name for candidate in candidates)
        _warn_of_other_data((first, paths[0]), (second, paths[1]))
        out /= "against_" + re.sub(r"[/\\]", "_", second)
    out = out_dir(cfg, out)
    real = reference.ReferenceSet(settings, build_data(cfg, gans[0].settings), gans[0].device)
    if len(candidates) == 1:
        evaluation.evaluate_candidate(real, candidates[0], out)
    else:
        comparison.compare(real, candidates[0], candidates[1], out)


def _with_command(candidate: Any) -> Any:
    command = shlex.join(["python", "-m", "facegan.evaluate", *sys.argv[1:]])
    return replace(candidate, facts={"command": command, **candidate.facts})


def _warn_of_other_data(first: tuple[str, Path], second: tuple[str, Path]) -> None:
    """``first``, ``second``: name and checkpoint."""
    data = [settings_of_data(checkpoint) for _, checkpoint in (first, second)]
    if data[0] is None or data[1] is None:
        return
    keys = [f"dataset.{key}" for key in data[0] if data[0][key] != data[1].get(key)]
    if keys:
        log.warning(
            "%s was trained on other data (%s): both are measured against those of %s.",
            *(second[0], ", ".join(keys), first[0]),
        )


def main() -> None:
    run(evaluate, "evaluate", with_data_of_the_run)


if __name__ == "__main__":
    main()
