"""Train a GAN on data, with callbacks and loggers, and conclude the run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from facegan.data.module import ImageDataModule
from facegan.errors import InputError, came_too_late, interruptible
from facegan.gan.gan import GAN
from facegan.networks.batch_norm import convert_sync_batchnorm
from facegan.training.callbacks.objective import Objective, check_objective
from facegan.training.callbacks.resume_policy import ResumePolicy
from facegan.training.callbacks.save_on_signal import SaveOnSignal
from facegan.training.callbacks.self_condition import SelfCondition
from facegan.training.loggers import close, log_configuration, rewind
from facegan.training.memory import keep_freed_memory
from facegan.training.settings import ObjectiveSettings
from facegan.training.start import OwnEpochs, check_epochs, read_start
from facegan.training.summary import announce, conclude, write_result


def _nothing(*_: Any) -> None:
    pass


@dataclass(frozen=True)
class Experiment:
    """A training as plain objects.

    Attributes:
        trainer: called with ``callbacks``, ``logger``, ``enable_checkpointing`` and
            ``sync_batchnorm``, like ``functools.partial(pl.Trainer, max_epochs=3)``.
        ckpt: start a new run from this checkpoint file or run directory.
        resuming: continue the run in ``run_dir``.
        fallback: use an earlier checkpoint where the one to start from is damaged.
        objective: the metric whose best value is the outcome.
        searched: whether a search needs the objective.
        sync_batchnorm: BatchNorm over the batches of all devices together.
        connect: called with the device before Lightning connects the processes.
        record: called when training starts, after everything was checked.
        config: plain values that loggers show beside the model's settings.
    """

    model: GAN
    data: ImageDataModule
    trainer: Callable[..., pl.Trainer]
    run_dir: Path
    callbacks: Sequence[pl.Callback] = ()
    loggers: Sequence[Logger] = ()
    ckpt: str | Path | None = None
    resuming: bool = False
    fallback: bool = False
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    searched: bool = False
    sync_batchnorm: bool = False
    connect: Callable[[torch.device], None] = _nothing
    record: Callable[[], None] = _nothing
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """Best value of the objective and its epoch (None: not measured), images seen and seconds."""

    objective: float | None
    epoch: int | None
    images: int
    seconds: float


def fit(experiment: Experiment) -> Outcome:
    """Train ``experiment.model``; on several devices every process calls it.

    Raises InputError, before anything is trained, where the parts do not fit each other, and
    InterruptedRun when a signal ends the training.
    """
    keep_freed_memory()
    model, data, settings = experiment.model, experiment.data, experiment.objective
    start = experiment.run_dir if experiment.resuming else experiment.ckpt
    checkpoint = read_start(start, model, experiment.fallback)
    check_objective(settings, experiment.callbacks, experiment.searched)
    feeding = any(isinstance(callback, SelfCondition) for callback in experiment.callbacks)
    if feeding != (model.conditions.kind == "clusters"):
        raise InputError("condition=clusters and the callback SelfCondition need each other.")
    objective = Objective(settings.metric, settings.mode)
    policy = ResumePolicy(str(experiment.run_dir), experiment.resuming, experiment.record)
    callbacks: list[pl.Callback] = [policy, *sorted(experiment.callbacks, key=_order), objective]
    if not experiment.resuming:
        callbacks.append(OwnEpochs())
    before = checkpoint["images_seen"] if checkpoint else 0
    if experiment.resuming:
        rewind(experiment.loggers, before)
    if experiment.config:
        log_configuration(experiment.loggers, experiment.config)
    trainer = experiment.trainer(
        callbacks=callbacks,
        logger=list(experiment.loggers),
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        sync_batchnorm=False,  # Lightning would convert generator_ema, which only rank 0 runs
    )
    if checkpoint and experiment.resuming:
        check_epochs(checkpoint, trainer.max_epochs)
    if experiment.sync_batchnorm:
        convert_sync_batchnorm(model.generator)
        convert_sync_batchnorm(model.discriminator)
    data.prepare_data()  # Lightning's own call finds it done; here errors come before any set-up
    data.check(trainer.world_size)
    if model.conditions.kind in ("classes", "attributes"):
        model.conditions.fit(data.store.labels[data.train_rows()])
    if trainer.is_global_zero:
        announce(model, data, trainer, experiment.run_dir)
    experiment.connect(trainer.strategy.root_device)
    try:
        seconds = _run(trainer, model, data, checkpoint)
        outcome = Outcome(objective.value, objective.epoch, model.images_seen - before, seconds)
        if trainer.is_global_zero:
            conclude(model, trainer, experiment.run_dir, experiment.searched)
            write_result(experiment.run_dir, objective, outcome.images, seconds)
            if experiment.searched and objective.value is None:
                how = "finite" if objective.logged else "logged"
                raise InputError(
                    f"The objective {objective.metric} was never {how}: name a metric in "
                    "objective.metric that the loggers show."
                )
    finally:
        close(experiment.loggers)
    for callback in callbacks:
        if isinstance(callback, SaveOnSignal) and callback.received is not None:
            raise came_too_late(callback.received)
    return outcome


def _run(
    trainer: pl.Trainer, model: GAN, data: ImageDataModule, checkpoint: dict[str, Any] | None
) -> float:
    """Lightning's fit; returns its seconds."""
    began = perf_counter()
    path = checkpoint["path"] if checkpoint else None
    try:
        with interruptible(lambda: f"{model.images_seen:,} images seen, and not all of them saved"):
            trainer.fit(model, data, ckpt_path=path, weights_only=True)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error
    return perf_counter() - began


def _order(callback: pl.Callback) -> int:
    """Sort key: conditions, measuring callbacks, early stopping, then unmonitored checkpoints.

    ``last.ckpt`` is written after ``best.ckpt``, so it records which one was best.
    """
    if isinstance(callback, SelfCondition):
        return -1
    last = isinstance(callback, ModelCheckpoint) and not callback.monitor
    return 2 if last else int(isinstance(callback, EarlyStopping))
