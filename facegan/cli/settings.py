"""Settings shared by the commands that start from a checkpoint."""

from facegan.settings import PathName, Seed, Settings, setting


class CommandSettings(Settings):
    """Which checkpoint, where its data are and where results go (``conf/command.yaml``)."""

    ckpt: PathName | None = setting(
        None, "a checkpoint file, or a run directory for its checkpoints/last.ckpt", form="a path"
    )
    seed: Seed = setting(0, "seed of everything random")
    data_dir: PathName = setting("data", "directory of packed data sets", form="a directory")
    out: PathName | None = setting(
        None, "directory to write to; null: one in the run directory", form="a directory"
    )
    device: str = setting(
        "auto", "auto (a GPU if there is one), cpu, cuda, cuda:1 or mps", form="a device like cuda"
    )
