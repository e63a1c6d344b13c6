"""Networks, data modules and output directories of the commands that read a checkpoint."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

import facegan
from facegan.cli.conf import instantiate
from facegan.errors import InputError
from facegan.files import expect_writable
from facegan.launch.devices import limit_threads
from facegan.run_dir import checkpoint_file


def load_gan(cfg: DictConfig, checkpoint: Any) -> tuple[Any, Path]:
    """The GAN of ``checkpoint``, a file or a run directory, on ``cfg.device``; and its file."""
    path = checkpoint_file(checkpoint)
    limit_threads()
    return facegan.load_gan(path, cfg.device), path


def build_data(cfg: DictConfig, settings: Any) -> Any:
    """The data module of ``cfg.dataset`` with the image size and channels of ``settings``."""
    if "_target_" not in cfg.dataset:
        reason = f": {cfg.ckpt} is not inside a run directory that records its data"
        raise InputError(
            "Say which data to use, like dataset=celeba dataset.root=DIR"
            f"{reason if cfg.ckpt else ''}."
        )
    for key in ("image_size", "channels"):
        value, trained = cfg.dataset[key], getattr(settings, key)
        if value not in (None, trained):
            raise InputError(
                f"The network was trained with dataset.{key}={trained}, not {value}: leave it out."
            )
    return instantiate(cfg, "dataset", image_size=settings.image_size, channels=settings.channels)


def image_shape(cfg: DictConfig, instead: str) -> DictConfig:
    """Image size and channels of ``cfg.dataset``, for ``instead`` of a checkpoint."""
    shape = {key: cfg.dataset[key] for key in ("image_size", "channels")}
    if None in shape.values():
        raise InputError(
            f"With {instead}, say the size of the images: dataset.image_size=64 dataset.channels=3."
        )
    return OmegaConf.create(shape)


def pictures_in(root: object, cfg: DictConfig, settings: Any, name: str) -> Any:
    """The data module of a directory of pictures, with image size and channels of ``settings``.

    It keeps the largest centre square of each: ``dataset.crop`` is meant for the pictures of that
    data set.
    """
    folder = {
        "_target_": "facegan.data.sources.folder.Folder",
        "name": name,
        "root": str(root),
        "data_dir": cfg.data_dir,
        "image_size": settings.image_size,
        "channels": settings.channels,
        "max_bad_fraction": cfg.dataset.get("max_bad_fraction", 0.01),
        "labels": False,
    }
    return instantiate({"folder": folder}, "folder")


def out_dir(cfg: DictConfig, default: Path) -> Path:
    """The directory that a command writes to: ``cfg.out``, or else ``default``.

    Raises InputError, before the work begins, if nothing can be written there.
    """
    directory = default if cfg.out is None else Path(str(cfg.out)).expanduser()
    expect_writable(directory)
    return directory
