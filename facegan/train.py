"""Train a GAN: ``python -m facegan.train dataset=celeba trainer.devices=4``.

Composes the configuration, builds data, model, callbacks, loggers and trainer from it, and fits.
``--help`` lists what can be set.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from facegan import __version__, config
from facegan.errors import expect, expect_int

if TYPE_CHECKING:  # at run time only once there is something to train: --help must be quick
    from pytorch_lightning import Trainer

    from facegan.data.base import ImageDataModule
    from facegan.gan import GAN

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


def train(cfg: DictConfig) -> None:
    """Train as ``cfg`` says; everything about the run ends up in ``cfg.run_dir``."""
    _check_values(cfg)
    import pytorch_lightning as pl

    from facegan.loggers import finish

    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    _keep_freed_memory()
    model: GAN = config.build(cfg, "model")
    data: ImageDataModule = config.build(cfg, "dataset")
    _check_precision(model, cfg)
    checkpoint = _checkpoint_to_start_from(cfg)
    callbacks = list((config.build(cfg, "callbacks") or {}).values())
    if not cfg.trainer.enable_progress_bar:
        callbacks = [c for c in callbacks if not isinstance(c, pl.callbacks.ProgressBar)]
    loggers = list((config.build(cfg, "logger") or {}).values())
    saving = any(isinstance(c, pl.callbacks.ModelCheckpoint) for c in callbacks)
    trainer: Trainer = config.build(
        cfg, "trainer", callbacks=callbacks, logger=loggers, enable_checkpointing=saving
    )

    data.prepare_data()  # Lightning's own call finds it done; here errors come before any set-up
    data.setup("fit")
    if trainer.is_global_zero:
        _announce(cfg, model, data, trainer)
    try:
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    finally:
        finish()
    if trainer.is_global_zero:
        _conclude(cfg, model)


def _check_values(cfg: DictConfig) -> None:
    """Values that no constructor of ours sees."""
    expect_int("seed", cfg.seed, at_least=0)
    expect(cfg.seed < 2**32, f"seed must be below 2**32, not {cfg.seed}.")
    epochs = cfg.trainer.max_epochs
    if epochs != -1:
        expect_int("trainer.max_epochs (-1: without end)", epochs, at_least=1)
    devices = cfg.trainer.devices
    if isinstance(devices, int) and devices != -1:
        expect_int("trainer.devices", devices, at_least=1)
    for key, own in (("accumulate_grad_batches", "accumulate"), ("gradient_clip_val", "clip")):
        expect(
            cfg.trainer.get(key) is None,
            f"trainer.{key} does not work with two optimizers: use model.{own}.",
        )
    expect(
        cfg.ckpt is None or cfg.resume is None,
        "ckpt starts a new run and resume goes on with an old one: give one of them.",
    )


def _check_precision(model: "GAN", cfg: DictConfig) -> None:
    half = str(cfg.trainer.precision) in ("16", "16-mixed", "16-true", "fp16")
    remedy = "set trainer.precision=bf16-mixed or 32-true"
    expect(
        not (half and model.penalised),
        f"Gradient penalties overflow in trainer.precision={cfg.trainer.precision}: {remedy}.",
    )
    expect(
        not (half and model.hp.clip is not None),
        f"model.clip cannot see through the loss scaling of float16: {remedy}.",
    )


def _checkpoint_to_start_from(cfg: DictConfig) -> Path | None:
    """The checkpoint named by ``ckpt`` or ``resume``, if it fits this configuration."""
    if cfg.ckpt is None and cfg.resume is None:
        return None
    from facegan.gan import read_checkpoint
    from facegan.loggers import forget_metrics_after

    checkpoint = read_checkpoint(cfg.resume or cfg.ckpt)
    path: Path = checkpoint["path"]
    for name, key in ARCHITECTURE.items():
        trained, asked = checkpoint["hyper_parameters"][name], cfg.model[name]
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
    if cfg.resume is not None:
        forget_metrics_after(Path(cfg.run_dir), checkpoint["images_seen"])
    return path


def _keep_freed_memory() -> None:
    """Tell glibc to keep freed memory: each step allocates the same hundreds of MB again.

    Without it every training step on a CPU faults its pages in anew, which costs up to a third
    of its time. Other C libraries are left alone.
    """
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # there is one only in glibc
        mmap_threshold, trim_threshold, mmap_max = -3, -1, -4  # from malloc.h
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(mmap_threshold, 2**30)
    except (OSError, AttributeError, TypeError):
        pass


def _announce(cfg: DictConfig, model: "GAN", data: "ImageDataModule", trainer: Any) -> None:
    hp = model.hp
    log.info(
        "facegan %s: %s at %d px, %s training images, %s epochs in batches of %d.\n"
        "Loss %s, width %d/%d, on %s x %d. Everything goes to %s",
        __version__,
        cfg.dataset.name,
        hp.image_size,
        f"{len(data.train_rows()):,}",
        trainer.max_epochs,
        data.batch_size * trainer.world_size,
        hp.loss,
        hp.width_g,
        hp.width_d,
        type(trainer.accelerator).__name__.removesuffix("Accelerator").lower(),
        trainer.world_size,
        _short(cfg.run_dir),
    )


def _short(path: str) -> Path:
    """Relative to the working directory where that is shorter."""
    inside = Path(path).is_relative_to(Path.cwd())
    return Path(path).relative_to(Path.cwd()) if inside else Path(path)


def _conclude(cfg: DictConfig, model: "GAN") -> None:
    """Say where things are and what to do with them."""
    run_dir = _short(cfg.run_dir)
    lines = [f"Done: {model.images_seen:,} images seen."]
    for what, path in (
        ("faces", run_dir / "samples"),
        ("timeline", run_dir / "samples" / "timeline.png"),
        ("checkpoint", run_dir / "checkpoints" / "last.ckpt"),
        ("metrics", run_dir / "metrics.csv"),
    ):
        if path.exists():
            lines.append(f"  {what:<11}{path}")
    if (run_dir / "checkpoints" / "last.ckpt").exists():
        lines += [
            "Next:",
            f"  python -m facegan.sample ckpt={run_dir} n=64",
            f"  python -m facegan.train resume={run_dir} "
            f"trainer.max_epochs={2 * max(1, cfg.trainer.max_epochs)}",
        ]
    log.info("\n".join(lines))


def main() -> None:
    config.run(train, "config")


if __name__ == "__main__":
    main()
