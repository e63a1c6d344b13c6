"""Choosing the device that a command computes on."""

import torch

from facegan.errors import InputError


def weakest_gpu(devices: int | str | list[int]) -> tuple[tuple[int, int], str] | None:
    """Compute capability and name of the weakest of the CUDA devices that may be meant, if any."""
    if not torch.cuda.is_available():
        return None
    count = torch.cuda.device_count()
    named = [n for n in devices if n < count] if isinstance(devices, list) else []
    found = [
        (torch.cuda.get_device_capability(n), torch.cuda.get_device_name(n))
        for n in named or range(count)
    ]
    return min(found)


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
