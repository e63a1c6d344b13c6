"""For ``ckpt=`` without ``dataset=``: the data a run was trained on."""

import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from facegan.cli.resume import _key
from facegan.quoting import quoted
from facegan.run_dir import run_dir_of


def with_data_of_the_run(arguments: list[str]) -> list[str]:
    """For ``ckpt=`` without ``dataset=``: the data set that run was trained on, where it is known.

    Its settings are the defaults of this command, so that single ones can still be changed.
    """
    asked = {
        _key(argument): argument.split("=", 1)[-1] for argument in arguments if "=" in argument
    }
    source = next((key for key in ("ckpt", "compare") if key in asked), None)
    if source is None or "dataset" in asked:
        return arguments
    checkpoint = asked[source].strip("[]'\"").split(",")[0]  # the first of those to compare
    saved = run_dir_of(Path(checkpoint.strip("'\"")).expanduser()) / ".hydra"
    if not (saved / "hydra.yaml").is_file() or not (saved / "config.yaml").is_file():
        return arguments
    runtime = OmegaConf.load(saved / "hydra.yaml").hydra.runtime
    settings = OmegaConf.load(saved / "config.yaml")
    if "data_dir" in asked:
        settings.data_dir = asked.pop("data_dir").strip("'\"")
        asked["dataset.data_dir"] = settings.data_dir
    for key in ("dataset.data_dir", "dataset.root"):  # relative to where that run was started
        value = OmegaConf.select(settings, key)
        if value is not None and key not in asked:
            OmegaConf.update(settings, key, str(Path(runtime.cwd, Path(value).expanduser())))
    fixed = {"_target_", "image_size", "channels", "seed"}
    dataset: Any = OmegaConf.to_container(settings.dataset, resolve=True)
    earlier = [
        f"dataset.{key}={_value(value)}"
        for key, value in dataset.items()
        if key not in fixed and f"dataset.{key}" not in asked
    ]
    # Beside the other overrides, which argparse wants in one piece.
    at = next(i for i, argument in enumerate(arguments) if argument.startswith(f"{source}=")) + 1
    return [*arguments[:at], f"dataset={runtime.choices.dataset}", *earlier, *arguments[at:]]


def settings_of_data(checkpoint: Path) -> dict[str, Any] | None:
    """What decides which images the run of ``checkpoint`` was trained on, where it is known."""
    saved = run_dir_of(checkpoint) / ".hydra" / "config.yaml"
    if not saved.is_file():
        return None
    content: Any = OmegaConf.to_container(OmegaConf.load(saved).dataset, resolve=False)
    how = (
        *("data_dir", "batch_size", "global_batch_size", "flip", "seed", "download"),
        "max_bad_fraction",
    )
    return {key: value for key, value in content.items() if key not in how}


def _value(value: object) -> str:
    """A value as Hydra's command line reads it."""
    return quoted(value) if isinstance(value, str) else json.dumps(value)
