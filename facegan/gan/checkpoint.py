"""Reading checkpoints, always safely (``weights_only``: no code in them is run); writing them."""

import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from facegan.devices import usable_device
from facegan.errors import InputError, WriteError
from facegan.files import replacing
from facegan.gan.gan import GAN
from facegan.networks.dcgan import LARGE, UNLIMITED
from facegan.quoting import assignment
from facegan.run_dir import checkpoint_file, last_checkpoint


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint's content on the CPU, and its file as ``path``.

    ``path``: see :func:`facegan.run_dir.checkpoint_file`. Raises InputError if it does not exist or
    cannot be read.
    """
    path = checkpoint_file(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        complete = {"state_dict", "hyper_parameters", "images_seen"} <= checkpoint.keys()
    except Exception as error:  # torch raises a dozen kinds, from zip to pickle
        # Without torch's own message: that advises to load it unsafely.
        raise InputError(
            f"{path} is damaged or not a checkpoint: it may be cut short, or another kind of file."
        ) from error
    if not complete:
        raise InputError(f"{path} is not a facegan checkpoint: it has no images_seen.")
    settings = checkpoint["hyper_parameters"]
    if "max_width" not in settings and settings.get("image_size", 0) > LARGE:
        settings["max_width"] = UNLIMITED  # of a version that did not have it
    return {**checkpoint, "path": path}


def load_gan(path: str | Path, device: str = "auto") -> GAN:
    """The GAN of a checkpoint, in eval mode.

    Args:
        path: a file or a run directory, see :func:`facegan.run_dir.checkpoint_file`.
        device: as torch spells it; ``auto``: a GPU if there is one.

    Raises:
        InputError: if there is no such checkpoint or device, or it is of another version.
    """
    checkpoint = read_checkpoint(path)
    target = usable_device(device)
    try:
        gan = GAN(**checkpoint["hyper_parameters"])
        gan.load_state_dict(checkpoint["state_dict"])
    except (InputError, RuntimeError) as error:  # an unknown setting, or weights of another shape
        raise InputError(
            f"{checkpoint['path']} does not fit this version of facegan: "
            f"{str(error).splitlines()[0]}"
        ) from error
    gan.on_load_checkpoint(checkpoint)
    return gan.to(target).eval()


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames: a killed run leaves the old file or the new one.

    Lightning's own goes through the system's temporary directory, which may be on another disk,
    where a move is a copy that can be cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        try:
            with replacing(Path(path)) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            run_dir, remedy = Path(path).parent.parent, "make room, and start again."
            last = last_checkpoint(run_dir)
            if Path(path).parent == last.parent and last.is_file():  # of a run, not in a data store
                resume = assignment("resume", run_dir)
                remedy = (
                    f"make room, and continue with {resume} from the last one, which is intact."
                )
            raise WriteError(
                f"The checkpoint {path} cannot be written ({error.strerror}): {remedy}"
            ) from error
