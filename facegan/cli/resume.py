"""``resume=RUN_DIR``: the overrides a run was started with, re-applied."""

import sys
from pathlib import Path

from omegaconf import OmegaConf

from facegan.cli.overrides import SavedRun, absolute, parsed, typed
from facegan.data.settings import source_keys
from facegan.errors import InputError
from facegan.launch.environment import rank
from facegan.run_dir import last_checkpoint, run_dir_of

# These apply to a single command, or one job of a sweep, and are not inherited on resuming.
ONCE = {"resume.dir", "resume.fallback", "ckpt", "trainer.max_time", "sweep"}


def with_resumed_overrides(arguments: list[str]) -> list[str]:
    """Add the overrides of the run in ``resume=RUN_DIR``, except for keys in ``arguments``.

    ``resume=RUN_DIR`` is short for ``resume.dir=RUN_DIR``.
    """
    arguments = [
        f"resume.dir={argument.removeprefix('resume=')}"
        if argument.startswith("resume=")
        else argument
        for argument in arguments
    ]
    now = parsed(arguments)
    named = now.get("resume.dir")
    if named is None or named.value() in ("", None):
        return arguments
    run_dir = Path(str(named.value())).expanduser()
    if run_dir == last_checkpoint(run_dir_of(run_dir)):  # last.ckpt stands for its run
        run_dir = run_dir_of(run_dir)
    saved = run_dir / ".hydra" / "overrides.yaml"
    if not saved.is_file() or not any(run_dir.glob("checkpoints/*.ckpt")):
        raise InputError(
            f"There is nothing to resume in {run_dir}: a run directory has .hydra/overrides.yaml "
            "and checkpoints/last.ckpt."
        )
    run = SavedRun(run_dir)
    before = parsed(run.overrides)
    # Keys that another option of a group need not have.
    dropped = {key for key in before if key.startswith("condition.") and "condition" in now}
    if "dataset" in now and now["dataset"].value() != run.dataset:
        dropped |= source_keys()
    kept = {
        key: absolute(override, run.cwd)
        for key, override in before.items()
        if key not in ONCE and key not in now and key not in dropped
    }
    earlier = list(kept.values())
    if run.cwd != Path.cwd() and not {"data_dir", "dataset.data_dir"} & {*before, *now}:
        default = OmegaConf.select(run.config, "data_dir")
        if default is not None:
            earlier.append(typed("data_dir", str(Path(run.cwd, Path(default).expanduser()))))
    changed = [
        str(override.input_line)
        for key, override in now.items()
        if key not in ONCE
        and not key.startswith("hydra.")
        and (key not in before or before[key].input_line != override.input_line)
    ]
    if rank() == 0:
        changes = f" with {', '.join(changed)}" if changed else ""
        print(f"Resuming {run_dir}{changes}.", file=sys.stderr)
    # Next to the other overrides: argparse wants them in one piece.
    at = next(i for i, word in enumerate(arguments) if word == named.input_line) + 1
    return [*arguments[:at], *earlier, typed("hydra.run.dir", str(run_dir)), *arguments[at:]]
