"""What a run was told: kept in its directory, and taken up by command lines that go on from it."""

import re
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from facegan.errors import expect
from facegan.files import replacing
from facegan.launch.environment import rank
from facegan.quoting import quoted
from facegan.run_dir import last_checkpoint, run_dir_of

# Of the process that started this one, if one did: its overrides, and what it was told as YAML.
started_with: dict[str, Any] = {}

# These apply to a single command, or one job of a sweep, and are not inherited on resuming.
ONCE = {"resume.dir", "resume.fallback", "ckpt", "trainer.max_time", "sweep"}
OF_THE_SOURCE = {  # of certain data sets only: not inherited by a run that goes on with others
    f"dataset.{key}" for key in ("root", "download", "crop", "max_bad_fraction", "n", "draw_seed")
}
PATHS = ("data_dir", "dataset.data_dir", "dataset.root")  # relative to where a run was started


def with_resumed_overrides(arguments: list[str]) -> list[str]:
    """For ``resume=RUN_DIR``: the overrides of that run too, except where others are given now.

    ``resume=RUN_DIR`` is short for ``resume.dir=RUN_DIR``.
    """
    arguments = [re.sub("^resume=", "resume.dir=", argument) for argument in arguments]
    named = [argument for argument in arguments if argument.startswith("resume.dir=")]
    if not named or named[-1] in ("resume.dir=null", "resume.dir="):
        return arguments
    run_dir = Path(named[-1].removeprefix("resume.dir=").strip("'\"")).expanduser()
    if run_dir == last_checkpoint(run_dir_of(run_dir)):  # of which a run is meant, too
        run_dir = run_dir_of(run_dir)
    saved = run_dir / ".hydra" / "overrides.yaml"
    expect(
        saved.is_file() and any(run_dir.glob("checkpoints/*.ckpt")),
        f"There is nothing to resume in {run_dir}: a run directory has .hydra/overrides.yaml and "
        "checkpoints/last.ckpt.",
    )
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    started_in = _started_in(run_dir)
    before = [
        _from(started_in, str(o)) for o in OmegaConf.load(saved) if not str(o).startswith("hydra")
    ]
    of_then, of_now = ({_key(o): o for o in said} for said in (before, overrides))
    other_data = of_now.get("dataset", "") not in ("", f"dataset={_dataset_of(run_dir)}")
    earlier = [
        override
        for override in before
        if _key(override) not in ONCE
        and _key(override) not in of_now
        and not (other_data and _key(override) in OF_THE_SOURCE)
    ]
    if started_in != Path.cwd() and not {"data_dir", "dataset.data_dir"} & {*of_then, *of_now}:
        default = OmegaConf.select(OmegaConf.load(run_dir / ".hydra" / "config.yaml"), "data_dir")
        earlier.append(_from(started_in, f"data_dir={default}"))
    changed = [
        override
        for key, override in of_now.items()
        if key not in ONCE and not key.startswith("hydra.") and of_then.get(key) != override
    ]
    if rank() == 0:
        print(
            f"Going on in {run_dir}" + (f" with {', '.join(changed)}" if changed else "") + ".",
            file=sys.stderr,
        )
    # Beside the other overrides, which argparse wants in one piece.
    at = arguments.index(named[-1]) + 1
    # What the run is told now becomes part of it once it is known to be sound: see record.
    return [*arguments[:at], *earlier, f"hydra.run.dir={quoted(str(run_dir))}", *arguments[at:]]


def save(cfg: DictConfig) -> None:
    """Write what a new run was told into its directory, in the files that Hydra itself writes."""
    _write(cfg, {**told(cfg), "overrides": _listed(given())})


def record(cfg: DictConfig) -> None:
    """Make a resumed run's changes part of it, for the next time it is resumed or looked at."""
    if cfg.resume.dir is None or rank() > 0:
        return
    overrides = [_from(Path.cwd(), o) for o in given() if _key(o) not in ONCE]
    _write(cfg, {**told(cfg), "overrides": _listed(overrides)})


def told(cfg: DictConfig) -> dict[str, str]:
    """What Hydra was told, and what it made of that, as YAML: by the name of its file."""
    if not HydraConfig.initialized():
        return {name: started_with[name] for name in ("hydra", "config")}
    hydra = OmegaConf.to_yaml(HydraConfig.instance().cfg)
    return {"hydra": hydra, "config": OmegaConf.to_yaml(cfg)}


def _write(cfg: DictConfig, contents: dict[str, str]) -> None:
    directory = Path(cfg.run_dir) / ".hydra"
    for name, content in contents.items():
        with replacing(directory / f"{name}.yaml") as partial:
            partial.write_text(content, encoding="utf-8")


def _listed(overrides: list[str]) -> str:
    return OmegaConf.to_yaml(OmegaConf.create(overrides))


def _key(override: str) -> str:
    return override.split("=", 1)[0].lstrip("+~")


def given() -> list[str]:
    """Of the command line, also of the process that started this one."""
    if HydraConfig.initialized():
        return [str(override) for override in HydraConfig.get().overrides.task]
    return list(started_with.get("overrides", []))


def _started_in(run_dir: Path) -> Path:
    """Where the command was given that made ``run_dir``; here, if it is not known."""
    saved = run_dir / ".hydra" / "hydra.yaml"
    return Path(OmegaConf.load(saved).hydra.runtime.cwd) if saved.is_file() else Path.cwd()


def _dataset_of(run_dir: Path) -> str | None:
    """The option of the group ``dataset`` that a run was told, if it is known."""
    saved = run_dir / ".hydra" / "hydra.yaml"
    if not saved.is_file():
        return None
    return OmegaConf.select(OmegaConf.load(saved), "hydra.runtime.choices.dataset")


def _from(directory: Path, override: str) -> str:
    """An override that means the same elsewhere: a path of data, seen from ``directory``."""
    value = override.partition("=")[2].strip("'\"")
    if _key(override) not in PATHS or value in ("", "null"):
        return override
    return f"{_key(override)}={quoted(str(Path(directory, Path(value).expanduser())))}"
