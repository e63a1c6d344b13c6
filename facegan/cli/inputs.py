"""Data modules and output directories of the commands that read a checkpoint."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from facegan.cli.conf import build
from facegan.errors import expect


def build_data(cfg: DictConfig, hp: Any) -> Any:
    """The data module of ``cfg.dataset``, at the image size and with the channels of ``hp``."""
    expect(
        "_target_" in cfg.dataset,
        "Say which data to use, like dataset=celeba dataset.root=DIR"
        + (f": {cfg.ckpt} does not lie in the directory of a run that tells." if cfg.ckpt else "."),
    )
    for key in ("image_size", "channels"):
        asked = cfg.dataset[key]
        expect(
            asked is None or asked == getattr(hp, key),
            f"The network was trained with dataset.{key}={getattr(hp, key)}, not {asked}: "
            "leave it out.",
        )
    return build(cfg, "dataset", image_size=hp.image_size, channels=hp.channels)


def image_shape(cfg: DictConfig, instead: str) -> DictConfig:
    """Image size and channels, where there is no checkpoint to tell them but ``instead``."""
    sizes = {key: cfg.dataset[key] for key in ("image_size", "channels")}
    expect(
        None not in sizes.values(),
        f"With {instead}, say the size of the images: dataset.image_size=64 dataset.channels=3.",
    )
    return OmegaConf.create(sizes)


def pictures_in(root: object, cfg: DictConfig, hp: Any, name: str) -> Any:
    """The data module of a directory of pictures, at the image size and channels of ``hp``.

    Of each the largest square in the middle is taken, since ``dataset.crop`` is meant for the
    pictures of that data set.
    """
    from facegan.data.sources.folder import Folder

    return Folder(
        name=name,
        root=str(root),
        data_dir=cfg.data_dir,
        image_size=hp.image_size,
        channels=hp.channels,
        max_bad_fraction=cfg.dataset.get("max_bad_fraction", 0.01),
    )


def out_dir(cfg: DictConfig, default: Path) -> Path:
    """The directory that a command writes to: ``cfg.out``, if it is given."""
    return Path(str(cfg.out)).expanduser() if cfg.out else default
