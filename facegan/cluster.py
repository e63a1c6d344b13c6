"""Group images by what a trained discriminator sees: ``python -m facegan.cluster ckpt=RUN_DIR``.

With ``predict=DIR``, assign new pictures to the clusters that an earlier call found.
"""

from pathlib import Path
from typing import Any

from facegan.cli.conf import plain
from facegan.cli.inputs import build_data, load_gan, out_dir, pictures_in
from facegan.cli.run import run
from facegan.cli.run_data import with_data_of_the_run
from facegan.cli.settings import CommandSettings
from facegan.clusters.settings import ClusterSettings
from facegan.errors import InputError
from facegan.run_dir import run_dir_of


def cluster(cfg: Any) -> None:
    """Cluster the images of ``cfg.dataset``, or assign those in ``cfg.predict``."""
    content = plain(cfg)
    if CommandSettings.pick(content).ckpt is None:
        raise InputError("Say whose features to cluster: ckpt=FILE or ckpt=RUN_DIR.")
    settings = ClusterSettings.read(content["clustering"])
    from facegan.clusters import saved, study  # here: --help needs no torch

    gan, path = load_gan(cfg, cfg.ckpt)
    name = path.stem if settings.space == "auto" else f"{path.stem}_{settings.space}"
    out = out_dir(cfg, run_dir_of(path) / "clusters" / name)
    if cfg.predict is None:
        study.study(gan, build_data(cfg, gan.settings), settings, out, path)
        return
    pictures = Path(str(cfg.predict)).expanduser()
    if not pictures.is_dir():
        raise InputError(f"predict={cfg.predict} is not a directory.")
    data = pictures_in(pictures, cfg, gan.settings, "predicted")
    saved.assign(gan, data, out, settings.layers)


def main() -> None:
    run(cluster, "cluster", with_data_of_the_run)


if __name__ == "__main__":
    main()
