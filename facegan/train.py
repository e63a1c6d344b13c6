"""Train a GAN: ``python -m facegan.train dataset=celeba trainer.devices=4``.

Composes the configuration, builds data, model, callbacks, loggers and trainer from it, and fits.
``--help`` lists what can be set.
"""

import contextlib
import json
import logging
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from facegan import __version__
from facegan.cli.conf import build, output_dir, plain
from facegan.cli.resume import record, save, with_resumed_overrides
from facegan.cli.run import resolved, run
from facegan.cli.sweep import own_gpus
from facegan.errors import (
    InputError,
    OccupiedError,
    came_too_late,
    expect,
    expect_int,
    expect_number,
    expect_one_of,
    expect_seed,
    interruptible,
)
from facegan.files import write_json
from facegan.launch.devices import num_devices
from facegan.launch.environment import is_main, rank, restarted, started
from facegan.launch.processes import run_ranks
from facegan.quoting import assignment
from facegan.run_dir import RESULT, discard, is_new, last_checkpoint, reserved
from facegan.training.memory import keep_freed_memory

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

    from facegan.data.module import ImageDataModule
    from facegan.gan.gan import GAN
    from facegan.training.callbacks.objective import Objective
log = logging.getLogger(__name__)

# What has to be the same for a checkpoint's weights to fit.
ARCHITECTURE = {
    "image_size": "dataset.image_size",
    "channels": "dataset.channels",
    **{
        key: f"model.{key}"
        for key in ("latent_dim", "width_g", "width_d", "blocks", "norm_d", "spectral_norm")
    },
}


def train(cfg: DictConfig) -> float | None:
    """Train as ``cfg`` says; everything about the run ends up in ``cfg.run_dir``.

    Returns the objective, if it was measured: what searches look at.
    """
    with _own_run_dir(cfg):
        _check_values(cfg)
        processes = num_devices(cfg.trainer.devices, cfg.trainer.accelerator)
        with own_gpus(cfg, processes):
            if processes > 1 and not started():
                run_ranks(resolved(cfg), processes)
            else:
                _train(cfg)
    if rank() > 0:
        return None
    return json.loads((Path(cfg.run_dir) / RESULT).read_text())["objective"]


@contextlib.contextmanager
def _own_run_dir(cfg: DictConfig) -> Iterator[None]:
    """Have ``cfg.run_dir`` to this run alone, and in it, if the run is new, its configuration."""
    if not is_main():
        yield
        return
    run_dir, goes_on = Path(cfg.run_dir), cfg.resume.dir is not None or restarted()
    # A machine that has died may hold a lock for minutes on a network's file system.
    with reserved(run_dir, patience=300 if restarted() else 0):
        # A run killed before its first checkpoint has nothing to go on with: it starts anew.
        last = last_checkpoint(run_dir)  # the best is written before it
        if not goes_on and (last.exists() or (run_dir / RESULT).exists()):
            raise OccupiedError(
                f"{run_dir} holds a run already: go on with it "
                f"({assignment('resume', run_dir)}), or choose another hydra.run.dir."
            )
        new = is_new(run_dir)
        if cfg.resume.dir is None:
            save(cfg)
        try:
            yield
        except InputError:
            if new and not cfg.searched:  # a sweep counts its failed jobs
                discard(run_dir)
            raise


def _train(cfg: DictConfig) -> None:
    """In one process, or in each of several."""
    import pytorch_lightning as pl
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    from facegan.launch.distributed import reconnect, strategy
    from facegan.networks.batch_norm import convert_sync_batchnorm
    from facegan.training.callbacks.objective import Objective
    from facegan.training.callbacks.resume_policy import ResumePolicy
    from facegan.training.callbacks.save_on_signal import SaveOnSignal
    from facegan.training.loggers import log_configuration
    from facegan.training.loggers.tensorboard import TensorBoardLogger

    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    keep_freed_memory()
    model: GAN = build(cfg, "model")
    data: ImageDataModule = build(cfg, "dataset")
    _check_precision(model, cfg)
    checkpoint = _checkpoint_to_start_from(cfg)
    path = checkpoint["path"] if checkpoint else None
    callbacks = list((build(cfg, "callbacks") or {}).values())
    if not cfg.trainer.enable_progress_bar:
        callbacks = [c for c in callbacks if not isinstance(c, pl.callbacks.ProgressBar)]
    callbacks.sort(key=_callback_order)
    objective = Objective(cfg.objective.metric, cfg.objective.mode)
    _check_objective(cfg, callbacks)
    resume_policy = ResumePolicy(cfg.run_dir, _is_resuming(cfg), partial(record, cfg))
    callbacks = [resume_policy, *callbacks, objective]
    loggers = list((build(cfg, "logger") or {}).values())
    before = checkpoint["images_seen"] if checkpoint else 0
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger) and _is_resuming(cfg):
            logger.go_on_after(before)
    log_configuration(loggers, plain(cfg))
    saving = any(isinstance(c, pl.callbacks.ModelCheckpoint) for c in callbacks)
    trainer: Trainer = build(
        cfg,
        "trainer",
        callbacks=callbacks,
        logger=loggers,
        enable_checkpointing=saving,
        strategy=strategy(cfg.trainer.strategy),
        sync_batchnorm=False,  # Lightning would have the averaged generator wait for others, too
    )
    if cfg.trainer.sync_batchnorm:
        convert_sync_batchnorm(model.generator)
        convert_sync_batchnorm(model.discriminator)

    data.prepare_data()  # Lightning's own call finds it done; here errors come before any set-up
    if trainer.is_global_zero:
        _announce(cfg, model, data, trainer)
    began = perf_counter()
    reconnect(trainer.strategy.root_device)
    try:
        with interruptible(lambda: f"{model.images_seen:,} images seen, and not all of them saved"):
            trainer.fit(model, data, ckpt_path=path, weights_only=True)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {error}") from error
    if trainer.is_global_zero:
        seconds = perf_counter() - began
        _conclude(cfg, model, trainer)
        _write_result(cfg, objective, model.images_seen - before, seconds)
        expect(
            not cfg.searched or objective.value is not None,
            f"The objective {objective.metric} was "
            + ("never finite" if objective.logged else "never logged")
            + ": name a metric in objective.metric that the loggers show.",
        )
    for callback in callbacks:
        if isinstance(callback, SaveOnSignal) and callback.received is not None:
            raise came_too_late(callback.received)


def _callback_order(callback: Any) -> int:
    """When a callback's turn is among the others: of its kind, in the order of the configuration.

    Early stopping looks at what the others have measured. The best checkpoint is chosen before the
    last one is written, which so knows of it when a run is resumed.
    """
    from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

    last = isinstance(callback, ModelCheckpoint) and not callback.monitor
    return 2 if last else int(isinstance(callback, EarlyStopping))


def _check_values(cfg: DictConfig) -> None:
    """Values that no constructor of ours sees."""
    expect_seed("seed", cfg.seed)
    epochs = cfg.trainer.max_epochs
    if epochs != -1:
        expect_int("trainer.max_epochs (-1: without end)", epochs, at_least=1)
    devices = cfg.trainer.devices
    expect(
        isinstance(devices, (int, str, Sequence)) and not isinstance(devices, bool),
        f"trainer.devices must be a number, -1 (all GPUs) or a list like [0,2], not {devices!r}.",
    )
    if isinstance(devices, int) and devices != -1:
        expect_int("trainer.devices", devices, at_least=1)
    for key, instead in (
        ("accumulate_grad_batches", "model.accumulate"),
        ("gradient_clip_val", "model.clip"),
        ("max_steps", "trainer.max_epochs, or trainer.limit_train_batches"),
    ):
        expect(
            cfg.trainer.get(key) is None,
            f"trainer.{key} does not work with two optimizers: use {instead}.",
        )
    for key in ("sync_batchnorm", "detect_anomaly"):
        expect_one_of(f"trainer.{key}", cfg.trainer[key], (True, False))
    expect_int("trainer.log_every_n_steps", cfg.trainer.log_every_n_steps, at_least=0)
    limit = cfg.trainer.max_time
    expect(
        limit is None or re.fullmatch(r"\d+(:\d+){3}", str(limit)) is not None,
        f"trainer.max_time must be DD:HH:MM:SS, like 00:01:30:00 for 90 minutes, not {limit!r}.",
    )
    for key in ("image_size", "channels"):
        expect(
            cfg.model[key] == cfg.dataset[key],
            f"model.{key}={cfg.model[key]} does not fit dataset.{key}={cfg.dataset[key]}: set the "
            "latter alone, which the networks follow.",
        )
    metric = cfg.objective.metric
    expect(isinstance(metric, str), f"objective.metric must name a metric, not {metric!r}.")
    expect_one_of("objective.mode", cfg.objective.mode, ("min", "max"))
    if cfg.trainer.limit_train_batches is not None:
        expect_number("trainer.limit_train_batches", cfg.trainer.limit_train_batches, low=1e-9)
    expect_int("trainer.num_nodes", cfg.trainer.num_nodes, at_least=1)
    expect(
        cfg.trainer.num_nodes == 1 or started(),
        "trainer.num_nodes needs somebody who starts the processes on all machines: use torchrun "
        "or srun, which also say how many there are.",
    )
    expect(
        cfg.run_dir == (output_dir() or cfg.run_dir),
        "run_dir follows from hydra.run.dir: set that instead.",
    )
    for key, value in {"ckpt": cfg.ckpt, "resume": cfg.resume.dir}.items():
        expect(value != "", f"{key}= is empty: name a checkpoint or a run directory.")
    expect_one_of("resume.fallback", cfg.resume.fallback, (True, False))
    expect(
        cfg.ckpt is None or cfg.resume.dir is None,
        "ckpt starts a new run and resume goes on with an old one: give one of them.",
    )


def _check_objective(cfg: DictConfig, callbacks: Sequence[Any]) -> None:
    """What a search or early stopping waits for has to be measured: say so before training."""
    from facegan.gan.gan import METRICS
    from facegan.training.callbacks.measurement import Measurement
    from facegan.training.callbacks.objective import EarlyStopping

    watched = cfg.searched or any(isinstance(c, EarlyStopping) for c in callbacks)
    family = cfg.objective.metric.partition("/")[0]
    expect(
        family not in ("loss", "score") or cfg.objective.metric in METRICS,
        f"objective.metric={cfg.objective.metric} is not measured: {', '.join(METRICS)} are.",
    )
    measuring = {callback.family for callback in callbacks if isinstance(callback, Measurement)}
    expect(
        not watched or family not in ("quality", "clusters") or family in measuring,
        f"The objective {cfg.objective.metric} is not measured without the callback {family}: add "
        "it to callbacks=[...], or name another metric in objective.metric.",
    )


def _check_precision(model: "GAN", cfg: DictConfig) -> None:
    precision = str(cfg.trainer.precision)
    expect_one_of("trainer.precision", precision, ("32-true", "32", "bf16-mixed", "16-mixed"))
    half = precision == "16-mixed"
    remedy = "set trainer.precision=bf16-mixed or 32-true"
    expect(
        not (half and model.penalised),
        f"Gradient penalties overflow in trainer.precision={cfg.trainer.precision}: {remedy}.",
    )
    expect(
        not (half and model.settings.clip is not None),
        f"model.clip cannot see through the loss scaling of float16: {remedy}.",
    )


def _checkpoint_to_start_from(cfg: DictConfig) -> dict[str, Any] | None:
    """The checkpoint named by ``ckpt`` or ``resume``, if it fits this configuration."""
    start = cfg.run_dir if _is_resuming(cfg) else cfg.ckpt
    if start is None:
        return None
    from facegan.gan.checkpoint import read_checkpoint

    try:
        checkpoint = read_checkpoint(start)
    except InputError as error:
        checkpoint = _fallback_checkpoint(
            Path(str(start)) / "checkpoints", error, cfg.resume.fallback
        )
    path = checkpoint["path"]
    expect("loops" in checkpoint, f"{path} holds weights alone: training cannot go on from it.")
    for name, key in ARCHITECTURE.items():
        trained, asked = (
            "null" if value is None else value
            for value in (checkpoint["hyper_parameters"].get(name), cfg.model[name])
        )
        expect(
            trained == asked,
            f"{path} was trained with {key}={trained}, this run asks for {asked}: "
            f"set {key}={trained}.",
        )
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    expect(
        cfg.trainer.max_epochs == -1 or epochs < cfg.trainer.max_epochs,
        f"{path} has already had {epochs} epochs: set trainer.max_epochs above that.",
    )
    return checkpoint


def _is_resuming(cfg: DictConfig) -> bool:
    """Whether this is the same run as before: resumed, or started again by torchrun or SLURM."""
    there = last_checkpoint(cfg.run_dir).is_file()
    return cfg.resume.dir is not None or (restarted() and there)


def _fallback_checkpoint(directory: Path, error: InputError, fallback: bool) -> dict[str, Any]:
    """The newest whole checkpoint in ``directory`` if ``fallback``; else an error that names it."""
    from facegan.gan.checkpoint import read_checkpoint

    whole = []
    for path in directory.glob("*.ckpt"):
        with contextlib.suppress(InputError):
            whole.append(read_checkpoint(path))
    if not whole:
        raise InputError(f"{error} There is no other whole one in {directory}.") from error
    newest = max(whole, key=lambda checkpoint: checkpoint["images_seen"])
    seen = f"{newest['path']}, of {newest['images_seen']:,} images"
    expect(fallback, f"{error} To go on from {seen}, set resume.fallback=true.")
    log.warning("%s Going on from %s.", error, seen)
    return newest


def _announce(cfg: DictConfig, model: "GAN", data: "ImageDataModule", trainer: Any) -> None:
    hp = model.settings
    log.info(
        "facegan %s: %s at %d px, %s training images, %s epochs in batches of %d.\n"
        "Loss %s, width %d/%d, on %s x %d. Everything goes to %s",
        __version__,
        cfg.dataset.name,
        hp.image_size,
        f"{len(data.train_rows()):,}",
        trainer.max_epochs,
        data.batch_size_on(trainer.world_size) * trainer.world_size,
        hp.loss,
        hp.width_g,
        hp.width_d,
        type(trainer.accelerator).__name__.removesuffix("Accelerator").lower(),
        trainer.world_size,
        _short(cfg.run_dir),
    )


def _write_result(cfg: DictConfig, objective: "Objective", seen: int, seconds: float) -> None:
    """How the run ended, for leaderboards and searches."""
    result = {
        "metric": objective.metric,
        "mode": objective.mode,
        "objective": objective.value,
        "epoch": objective.epoch,
        "images": seen,
        "seconds": round(seconds, 1),
        "images_per_second": round(seen / seconds, 1),
    }
    write_json(Path(cfg.run_dir) / RESULT, result)


def _short(path: str) -> Path:
    """Relative to the working directory where that is shorter."""
    inside = Path(path).is_relative_to(Path.cwd())
    return Path(path).relative_to(Path.cwd()) if inside else Path(path)


def _conclude(cfg: DictConfig, model: "GAN", trainer: Any) -> None:
    """Say where things are and what to do with them."""
    from pytorch_lightning.callbacks import Timer

    run_dir = _short(cfg.run_dir)
    left = [c.time_remaining() for c in trainer.callbacks if isinstance(c, Timer)]
    if any(seconds is not None and seconds <= 0 for seconds in left):
        ended = "The time is up (trainer.max_time)"
    else:
        ended = "Done" if trainer.current_epoch == trainer.max_epochs else "Stopped early"
    lines = [f"{ended}: {model.images_seen:,} images seen."]
    for what, path in (
        ("faces", run_dir / "samples"),
        ("timeline", run_dir / "samples" / "timeline.png"),
        ("checkpoint", last_checkpoint(run_dir)),
        ("metrics", run_dir / "metrics.csv"),
    ):
        if path.exists():
            lines.append(f"  {what:<11}{path}")
    lines += _best(trainer)
    if not cfg.searched and last_checkpoint(run_dir).exists():
        activated = shutil.which("python") == sys.executable
        python = "python" if activated else _short(sys.executable)
        lines += [
            "Next:",
            f"  {python} -m facegan.sample {assignment('ckpt', run_dir)} n=64",
            f"  {python} -m facegan.train {assignment('resume', run_dir)} "
            f"trainer.max_epochs={2 * max(1, trainer.current_epoch)}",
        ]
    log.info("\n".join(lines))


def _best(trainer: Any) -> Iterator[str]:
    """A line for the checkpoint that a metric has chosen: where, how good and from when."""
    from facegan.gan.checkpoint import read_checkpoint

    for callback in trainer.checkpoint_callbacks:
        path = Path(callback.best_model_path)
        if callback.monitor and path.is_file():
            with contextlib.suppress(InputError):  # damaged since
                score, seen = callback.best_model_score, read_checkpoint(path)["images_seen"]
                how = f"{callback.monitor} {score:.4g}, {seen:,} images"
                yield f"  the best   {_short(str(path))} ({how})"


def main() -> None:
    run(train, "config", with_resumed_overrides)


if __name__ == "__main__":
    main()
