"""Choosing the device that a command computes on."""

import torch

from facegan.errors import InputError


def usable_device(device: str | torch.device) -> torch.device:
    """The device that ``device`` names as in torch; ``auto``: a GPU if there is one.

    Raises InputError if it cannot be used.
    """
    name = str(device)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # "CUDA is not available" and the like
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"device={name}: {reason}") from error
