"""The data settings that a command with ``ckpt=`` takes from the run."""

import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from facegan.cli.overrides import SavedRun, first_value, parsed, typed
from facegan.data.settings import SHAPING
from facegan.launch.environment import rank
from facegan.run_dir import run_dir_of


def with_data_of_the_run(arguments: list[str]) -> list[str]:
    """Add the data set of the (first) run in ``ckpt=`` or ``compare=``, if it is recorded.

    Its settings become defaults, so that single ones can be changed. With ``dataset=`` of the same
    kind only those that shape a picture are added. If pictures are shaped in another way than in
    training, one line says so.
    """
    overrides = parsed(arguments)
    source = next((key for key in ("ckpt", "compare") if key in overrides), None)
    if source is None or not first_value(overrides[source]):
        return arguments
    checkpoint = Path(str(first_value(overrides[source]))).expanduser()
    run = SavedRun(run_dir_of(checkpoint))
    if run.dataset is None or "dataset" not in run.config:
        return arguments
    values = {key: override.value() for key, override in overrides.items()}
    same = values.get("dataset", run.dataset) == run.dataset
    shaping = {key: run.config.dataset[key] for key in SHAPING if key in run.config.dataset}
    if "dataset" not in overrides:
        earlier = _settings_of(run, values)
    elif same:
        earlier = {
            key: value for key, value in shaping.items() if f"dataset.{key}" not in overrides
        }
    else:
        earlier = {}
    _say_differences(run, values, shaping if same else {})
    added = [typed(f"dataset.{key}", value) for key, value in earlier.items()]
    if "dataset" not in overrides:
        added.insert(0, f"dataset={run.dataset}")
    # Next to the other overrides: argparse wants them in one piece.
    at = next(i for i, word in enumerate(arguments) if word == overrides[source].input_line) + 1
    return [*arguments[:at], *added, *arguments[at:]]


def _settings_of(run: SavedRun, values: dict[str, Any]) -> dict[str, Any]:
    """The run's data set, without the keys in ``values``."""
    config, values = run.config, dict(values)
    if "data_dir" in values:
        config.data_dir = values["dataset.data_dir"] = str(values["data_dir"])
    for key in ("dataset.data_dir", "dataset.root"):  # relative to where that run was started
        value = OmegaConf.select(config, key)
        if value is not None and key not in values:
            OmegaConf.update(config, key, str(Path(run.cwd, Path(value).expanduser())))
    dataset: Any = OmegaConf.to_container(config.dataset, resolve=True)
    # Batches belong to the training; size and channels come from the checkpoint.
    fixed = {"_target_", "image_size", "channels", "seed", "batch_size", "global_batch_size"}
    return {k: v for k, v in dataset.items() if k not in fixed and f"dataset.{k}" not in values}


def _say_differences(run: SavedRun, values: dict[str, Any], shaping: dict[str, Any]) -> None:
    """Print one line if pictures are shaped in another way than in the run's training."""
    differences = [
        f"{key}={value} (now {values[f'dataset.{key}']})"
        for key, value in shaping.items()
        if f"dataset.{key}" in values and values[f"dataset.{key}"] != value
    ]
    if values.get("dataset", run.dataset) != run.dataset:
        differences = [f"dataset={run.dataset} (now {values['dataset']})"]
    if differences and rank() == 0:
        print(f"{run.run_dir} was trained with {', '.join(differences)}.", file=sys.stderr)


def settings_of_data(checkpoint: Path) -> dict[str, Any] | None:
    """Settings that determine the training images of a run; None if they are not recorded."""
    config = SavedRun(run_dir_of(checkpoint)).config
    if "dataset" not in config:
        return None
    content: Any = OmegaConf.to_container(config.dataset, resolve=False)
    how = (
        *("data_dir", "batch_size", "global_batch_size", "flip", "seed", "download"),
        *("max_bad_fraction", "_target_"),
    )
    return {key: value for key, value in content.items() if key not in how}
