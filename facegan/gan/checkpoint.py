"""Reading checkpoints, always safely: no code that lies in one is ever run."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from facegan.errors import InputError, WriteError, expect
from facegan.files import replacing
from facegan.gan.gan import GAN
from facegan.quoting import assignment
from facegan.run_dir import last_checkpoint


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint's content, loaded safely (``weights_only``) to the CPU.

    ``path``: the file, or a run directory, whose ``checkpoints/last.ckpt`` is then meant. The
    content gains the key ``path``. Raises InputError if there is none or it cannot be read.
    """
    path = Path(str(path)).expanduser()  # the command line reads a directory "0" as a number
    if path.is_dir():
        path = last_checkpoint(path)
    expect(path.is_file(), f"There is no checkpoint at {path}.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        complete = {"state_dict", "hyper_parameters", "images_seen"} <= checkpoint.keys()
    except Exception as error:  # torch raises a dozen kinds, from zip to pickle
        # Not what torch says of it: that advises to load it unsafely.
        raise InputError(
            f"{path} is damaged or no checkpoint: cut short, perhaps, or another kind of file."
        ) from error
    expect(complete, f"{path} is no facegan checkpoint: it has no images_seen.")
    return {**checkpoint, "path": path}


def load_gan(path: str | Path, device: str = "auto") -> tuple[GAN, Path]:
    """The GAN of a checkpoint in eval mode on ``device``, and the file it came from.

    ``path``: see :func:`read_checkpoint`. ``device``: as torch names it; ``auto``: a GPU if there
    is one. Raises InputError where there is no such checkpoint or device.
    """
    checkpoint = read_checkpoint(path)
    there = usable_device(device)
    try:
        gan = GAN(**checkpoint["hyper_parameters"])
        gan.load_state_dict(checkpoint["state_dict"])
    except (TypeError, RuntimeError) as error:  # an unknown setting, or weights of another shape
        raise InputError(
            f"{checkpoint['path']} does not fit this version of facegan: {_first_line(error)}"
        ) from error
    gan.on_load_checkpoint(checkpoint)
    return gan.to(there).eval(), checkpoint["path"]


def usable_device(name: str) -> torch.device:
    """``auto`` (a GPU if there is one), or a device as torch names it, if it can be used."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # "CUDA is not available" and its kind
        raise InputError(f"device={name}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames, so that a killed run leaves the old file or the new.

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
            resume = assignment("resume", Path(path).parent.parent)
            raise WriteError(
                f"The checkpoint {path} cannot be written ({error.strerror}): make room, and go on "
                f"with {resume} from the one before, which is intact."
            ) from error
