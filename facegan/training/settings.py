"""Settings of a training and of Lightning's Trainer."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from facegan.errors import InputError
from facegan.settings import Count, Seed, Settings, setting

Precision = Annotated[
    Literal["32-true", "32", "bf16-mixed", "16-mixed", "auto"], BeforeValidator(str)
]


class ResumeSettings(Settings):
    """How a run is resumed (``resume``)."""

    prefix: ClassVar[str] = "resume."

    dir: str | None = setting(
        None, "directory of a run to continue, with its configuration", key="resume"
    )
    fallback: bool = setting(False, "use an earlier checkpoint if the last one is damaged")


class ObjectiveSettings(Settings):
    """The metric that the best epoch of a run is chosen by (``objective``)."""

    prefix: ClassVar[str] = "objective."

    metric: str = setting(
        "loss/g",
        "metric of the best checkpoint, early stopping and searches",
        form="the name of a metric",
    )
    mode: Literal["min", "max"] = setting("min", "whether low or high values are better")


class TrainSettings(Settings):
    """Settings of ``facegan.train`` at the top of the configuration."""

    internal: ClassVar[Sequence[str]] = ("run_dir", "searched")

    seed: Seed = setting(0, "seed of weights, latents and the order of images")
    ckpt: str | None = setting(None, "start a new run from this checkpoint file or run directory")
    resume: ResumeSettings = setting(ResumeSettings(), "how a run is resumed")
    data_dir: str = setting("data", "directory of packed data sets")
    run_dir: str = setting(".", "directory of the run; follows from hydra.run.dir")
    searched: bool = setting(False, "whether a sweep waits for the objective")
    objective: ObjectiveSettings = setting(ObjectiveSettings(), "what the run is judged by")

    @model_validator(mode="after")
    def _one_start(self) -> "TrainSettings":
        for key, value in {"ckpt": self.ckpt, "resume": self.resume.dir}.items():
            if value == "":
                raise InputError(f"{key}= is empty: name a checkpoint or a run directory.")
        if self.ckpt is not None and self.resume.dir is not None:
            raise InputError(
                "ckpt starts a new run and resume continues an old one: give one of them."
            )
        return self


class TrainerSettings(Settings):
    """The keys of ``conf/trainer`` that people set; Lightning checks all others."""

    prefix: ClassVar[str] = "trainer."

    accelerator: str = setting("auto", "auto, cpu, gpu or mps")
    devices: Count | Literal[-1] | str | list[int] = setting(
        1,
        "number of devices, or a list of them",
        form="a number, -1 (all GPUs) or a list like [0,2]",
    )
    num_nodes: Count = setting(1, "number of machines, set by torchrun or srun")
    sync_batchnorm: bool = setting(False, "share BatchNorm statistics among all devices")
    precision: Precision = setting(
        "32-true", "floating-point precision; auto: bf16 or float16 where a GPU has it"
    )
    max_epochs: Count | Literal[-1] = setting(
        3, "passes over the data", form="a whole number of at least 1, or -1 (without end)"
    )
    max_time: Annotated[str, Field(pattern=r"^\d+(:\d+){3}$")] | None = setting(
        None, "time limit of this command", form="DD:HH:MM:SS, like 00:01:30:00 for 90 minutes"
    )
    log_every_n_steps: int = setting(
        10, "steps from one logged loss to the next; on a GPU also in the progress bar", ge=0
    )
    limit_train_batches: int | float | None = setting(
        None, "batches per epoch, or their share; null: all", gt=0
    )
    detect_anomaly: bool = setting(False, "report the operation whose backward pass gives a NaN")
    enable_progress_bar: bool = setting(True, "show a progress bar")
