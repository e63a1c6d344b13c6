"""Errors as sentences: what was wrong, and the nearest valid key or option."""

import difflib
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from facegan.cli.help import groups_in

# Options of Hydra's groups that packages of the extra ``sweep`` bring along.
SWEEP_EXTRA = {
    "hydra/sweeper": ("optuna",),
    "hydra/launcher": ("joblib", "submitit_local", "submitit_slurm"),
}


def sentence_of(
    error: Exception, config_name: str, conf_dir: Path, arguments: Sequence[str] = ()
) -> str:
    """One sentence the user can act on, for an error of facegan, Hydra or the system.

    ``arguments`` of the command choose the groups whose keys are suggested.
    """
    if isinstance(error, MissingConfigException) and "/" in str(error.missing_cfg_file):
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        group = group.replace("override ", "")
        if option in SWEEP_EXTRA.get(group, ()):
            return (
                f"{group}={option} needs packages that are not installed: "
                "pip install 'facegan[sweep]', or pip install '.[sweep]' in a checkout."
            )
        # Hydra lists none for an option in brackets.
        options = error.options or sorted(path.stem for path in (conf_dir / group).glob("*.yaml"))
        return (
            f"{group}={option} is not an option{_nearest(option, options)} "
            f"{group} can be: {', '.join(options)}."
        )
    if isinstance(error, OverrideParseException):
        text = error.override
        return (
            f"{text} is not understood: "
            + ("values" if "=" in text else "write KEY=VALUE, like ckpt=RUN_DIR. Values")
            + " with brackets, commas or an equals sign need quotes, like "
            "\"dataset.root='Pictures (1)'\"."
        )
    unknown = re.search(r"Could not override '([^']*)'", str(error))
    if unknown:
        key = unknown[1].split("@")[0]
        hint = _nearest(key, _keys(config_name, conf_dir, arguments))
        return f"There is no configuration key {key}{hint}"
    if (remedy := remedy_of(error)) is not None:
        return remedy
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return one_line(error)


REMEDIES = {  # what torch says, and what helps
    r"(CUDA|MPS backend|HIP) out of memory|can't allocate memory|not enough memory": (
        "The memory of the device does not suffice: lower dataset.batch_size, model.width_g, "
        "model.width_d or dataset.image_size, or end other programs that use it."
    ),
    r"no kernel image is available|not compatible with the current PyTorch": (
        "This PyTorch has no kernels for this GPU: install another PyTorch build "
        "(https://pytorch.org/get-started), or set trainer.accelerator=cpu or device=cpu."
    ),
    r"NVIDIA driver|CUDA driver (version|initialization)|cuInit": (
        "The GPU cannot be used, because its driver is missing or too old for this PyTorch: update "
        "the driver, or set trainer.accelerator=cpu or device=cpu."
    ),
    r"[Ff]ailed to find C compiler|No working C|C\+\+ compiler|working triton|TritonMissing": (
        "torch.compile needs a C++ compiler, and Triton on a GPU, and finds none: install them, or "
        "set model.compile=false."
    ),
}


def remedy_of(error: BaseException | None) -> str | None:
    """A sentence for an error of torch that users can mend; None for other errors."""
    while isinstance(error, RuntimeError | MemoryError | AssertionError):
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError):
            text = "not enough memory"
        for pattern, sentence in REMEDIES.items():
            if re.search(pattern, text):
                return sentence
        error = error.__cause__
    return None


def _nearest(word: str, valid: Sequence[str]) -> str:
    """``"; did you mean X?"`` or a full stop."""
    # A key typed without its group ("lr_g") or in the wrong one is as near as a misspelt one.
    by_name = {name.rpartition(".")[2]: name for name in valid}
    near = difflib.get_close_matches(word, valid, n=1, cutoff=0.6) or [
        by_name[name]
        for name in difflib.get_close_matches(word.rpartition(".")[2], by_name, n=1, cutoff=0.6)
    ]
    return f"; did you mean {near[0]}?" if near else "."


def _keys(config_name: str, conf_dir: Path, arguments: Sequence[str]) -> list[str]:
    """Every key of the configuration that the command line's valid group choices compose."""
    groups = [path.name for path in groups_in(conf_dir)]
    choices = [a for a in arguments if a.split("=")[0] in groups]
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(conf_dir)):
        try:
            cfg = hydra.compose(config_name, choices)
        except ConfigCompositionException:
            cfg = hydra.compose(config_name)
    return groups + list(_walk(OmegaConf.to_container(cfg)))  # type: ignore[arg-type]


def _walk(node: dict[Any, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _walk(value, f"{prefix}{key}.")


def shortened(error: BaseException) -> str:
    """The message of ``error``, cut to 300 characters."""
    return textwrap.shorten(str(error), 300, placeholder=" …")


def one_line(error: BaseException) -> str:
    """The message of ``error`` on one line; the name of its class if it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines) or type(error).__name__
