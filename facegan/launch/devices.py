"""How many devices a training uses, and which GPUs are free."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    pass


@contextlib.contextmanager
def free_gpus(count: int, total: int, sweep: str) -> Iterator[list[int]]:
    """Numbers of ``count`` of this machine's ``total`` GPUs that ``sweep``'s other jobs do not use.

    Waits until there are so many. Whatever becomes of the process, the system frees them again.
    """
    # By the names they have on this machine; SLURM may show every job its own as 0, 1, ...
    names = (os.environ.get("CUDA_VISIBLE_DEVICES") or "").split(",")
    if len(names) != total:
        names = [str(number) for number in range(total)]
    prefix = f"facegan_{sweep}_{os.environ.get('SLURM_JOB_ID', '')}_gpu"
    directory = Path(tempfile.gettempdir())
    locks = [FileLock(directory / f"{prefix}_{name}.lock") for name in names]
    while True:
        with contextlib.ExitStack() as held:
            numbers: list[int] = []
            for number, lock in enumerate(locks):
                if len(numbers) < count:
                    with contextlib.suppress(Timeout):
                        held.enter_context(lock.acquire(timeout=0))
                        numbers.append(number)
            if len(numbers) == count:
                yield numbers
                return
        time.sleep(0.5)  # with none held, or two jobs would wait for each other


GPUS = ("auto", "gpu", "cuda")  # values of trainer.accelerator that mean them where there are any


def strategy_for(devices: int | str | list[int], num_nodes: int, accelerator: str = "auto") -> str:
    """Lightning's strategy: ``auto`` for one device, for several the DDP that a GAN needs.

    Each half-step uses one network only, which plain DDP takes for an error.
    """
    several = num_devices(devices, accelerator) > 1 or num_nodes > 1
    return "ddp_find_unused_parameters_true" if several else "auto"


def num_devices(devices: int | str | list[int], accelerator: str = "auto") -> int:
    """How many devices ``trainer.devices`` means: a number, -1 or auto (all GPUs), or a list."""
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    if devices in ("auto", -1, "-1"):
        return max(1, visible_gpus()) if accelerator in GPUS else 1
    # Lightning reports invalid values.
    return int(devices) if str(devices).lstrip("-").isdigit() else 1


def visible_gpus() -> int:
    """How many GPUs this process may use."""
    import torch

    return torch.cuda.device_count()
