"""Build the objects of a training from a composed configuration."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from facegan.cli.conf import instantiate
from facegan.cli.invocation import Invocation
from facegan.devices import weakest_gpu
from facegan.files import on_terminal
from facegan.gan.conditions import Conditions, conditions_for
from facegan.gan.settings import ConditionSettings, GANSettings
from facegan.launch.devices import GPUS
from facegan.launch.distributed import reconnect, strategy
from facegan.launch.environment import rank, restarted
from facegan.run_dir import last_checkpoint
from facegan.training.callbacks.progress import ProgressLines
from facegan.training.callbacks.self_condition import SelfCondition
from facegan.training.checks import check_precision, usable_precision
from facegan.training.fit import Experiment
from facegan.training.settings import TrainerSettings, TrainSettings

log = logging.getLogger(__name__)


def build(invocation: Invocation) -> Experiment:
    """Seed everything and build model, data, callbacks, loggers and a factory of the trainer."""
    config = invocation.config
    settings = TrainSettings.pick(config)
    trainer = TrainerSettings.pick(config["trainer"])
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    config = with_precision(config, trainer)
    data = instantiate(config, "dataset")
    condition = ConditionSettings.pick(config["condition"])
    conditions = _conditions(condition, data)
    model = instantiate(config, "model", conditions=conditions.specification())
    named = (instantiate(config, "callbacks") or {}).values()
    callbacks: list[Any] = [callback for callback in named if callback is not None]
    if condition.kind == "clusters":
        k = conditions.num_conditions
        callbacks.append(SelfCondition(k, condition.recluster, seed=settings.seed))
    bar = trainer.enable_progress_bar and on_terminal()
    if not bar:
        callbacks = [c for c in callbacks if not isinstance(c, pl.callbacks.ProgressBar)]
    if trainer.enable_progress_bar and not bar:
        callbacks.append(ProgressLines())
    run_dir, resumed = Path(settings.run_dir), settings.resume.dir is not None
    record = {"record": invocation.record} if resumed and rank() == 0 else {}
    return Experiment(
        model=model,
        data=data,
        trainer=partial(
            instantiate,
            config,
            "trainer",
            strategy=strategy(config["trainer"]["strategy"]),
            enable_progress_bar=bar,
        ),
        run_dir=run_dir,
        callbacks=callbacks,
        loggers=list((instantiate(config, "logger") or {}).values()),
        ckpt=settings.ckpt,
        resuming=resumed or (restarted() and last_checkpoint(run_dir).is_file()),
        fallback=settings.resume.fallback,
        objective=settings.objective,
        searched=settings.searched,
        sync_batchnorm=trainer.sync_batchnorm,
        connect=reconnect,
        config=config,
        **record,
    )


def with_precision(config: dict[str, Any], trainer: TrainerSettings) -> dict[str, Any]:
    """``config`` with the floating-point precision that model and device can use."""
    model = GANSettings.read(config["model"])
    gpu = weakest_gpu(trainer.devices) if trainer.accelerator in GPUS else None
    precision = usable_precision(model, trainer.precision, gpu)
    if precision != trainer.precision and rank() == 0:
        log.info("trainer.precision=%s%s", precision, f", on {gpu[1]}" if gpu else "")
    check_precision(model, precision)
    return {**config, "trainer": {**config["trainer"], "precision": precision}}


def _conditions(settings: ConditionSettings, data: Any) -> Conditions:
    """Of ``condition``; the labels they follow from are read only where there is one."""
    if settings.kind == "none":
        return Conditions()
    store = data.store
    labels = store.labels[data.train_rows()]
    return conditions_for(settings, store.label_names, labels, store.class_names)
