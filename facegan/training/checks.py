"""Checks of values and combinations before anything is built; this module needs no torch."""

from collections.abc import Mapping
from typing import Any

from facegan.errors import InputError
from facegan.gan.settings import GANSettings
from facegan.training.settings import TrainerSettings, TrainSettings

BF16, TENSOR_CORES = (8, 0), (7, 0)  # compute capabilities of GPUs that have them

GPU = tuple[tuple[int, int], str]  # compute capability and name

INSTEAD = {  # of Trainer arguments that assume a single optimizer
    "accumulate_grad_batches": "model.accumulate",
    "gradient_clip_val": "model.clip",
    "max_steps": "trainer.max_epochs, or trainer.limit_train_batches",
}


def check_configuration(
    config: Mapping[str, Any], started: bool, output_dir: str | None
) -> tuple[TrainSettings, TrainerSettings]:
    """The settings in a composed configuration; raises InputError where they cannot be used.

    Args:
        started: whether the processes of the job are started by torchrun or srun.
        output_dir: Hydra's output directory, which ``run_dir`` must name.
    """
    settings, trainer = TrainSettings.pick(config), TrainerSettings.pick(config["trainer"])
    for key, instead in INSTEAD.items():
        if config["trainer"].get(key) is not None:
            raise InputError(f"trainer.{key} does not work with two optimizers: use {instead}.")
    for key in ("image_size", "channels"):
        model, data = config["model"][key], config["dataset"][key]
        if model != data:
            raise InputError(
                f"model.{key}={model} does not fit dataset.{key}={data}: set the latter alone, "
                "which the networks follow."
            )
    if trainer.num_nodes > 1 and not started:
        raise InputError(
            f"trainer.num_nodes={trainer.num_nodes} needs processes on other machines: "
            "use torchrun or srun, which start them and set it."
        )
    if settings.run_dir != (output_dir or settings.run_dir):
        raise InputError("run_dir follows from hydra.run.dir: set that instead.")
    return settings, trainer


def usable_precision(model: GANSettings, precision: str, gpu: GPU | None) -> str:
    """``precision`` for this device; "auto" becomes the fastest one that device and model can use.

    Raises InputError for bfloat16 on a GPU that lacks or emulates it. ``gpu=None``: none is used.
    """
    if precision == "bf16-mixed" and gpu is not None and gpu[0] < BF16:
        raise InputError(
            f"trainer.precision=bf16-mixed needs a GPU of compute capability 8.0 or higher; "
            f"{gpu[1]} has {gpu[0][0]}.{gpu[0][1]}: set trainer.precision=auto."
        )
    if precision != "auto":
        return precision
    if gpu is None:
        return "32-true"
    if gpu[0] >= BF16:
        return "bf16-mixed"
    scalable = not model.penalties and model.clip is None
    return "16-mixed" if gpu[0] >= TENSOR_CORES and scalable else "32-true"


def check_precision(model: GANSettings, precision: str) -> None:
    """Raise InputError where float16 cannot train this model."""
    remedy = "set trainer.precision=bf16-mixed or 32-true"
    if precision == "16-mixed" and model.penalties:
        raise InputError(f"Gradient penalties overflow in trainer.precision={precision}: {remedy}.")
    if precision == "16-mixed" and model.clip is not None:
        raise InputError(f"model.clip does not work with the loss scaling of float16: {remedy}.")
