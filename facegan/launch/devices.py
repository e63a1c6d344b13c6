"""The number of devices of a training, and reserving free GPUs."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

GPUS = ("auto", "gpu", "cuda")  # values of trainer.accelerator that use GPUs where there are any
DDP = "ddp_find_unused_parameters_true"  # the strategy of several devices


@contextlib.contextmanager
def free_gpus(count: int, total: int, sweep: str) -> Iterator[list[int]]:
    """Reserve ``count`` of this machine's ``total`` GPUs among the jobs of ``sweep``.

    Yields their numbers. Waits until enough are free; the system frees them when the process ends.
    """
    # Locks go by the machine's numbers: SLURM may show every job its own GPUs as 0, 1, ...
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
        time.sleep(0.5)  # holding none, or two jobs would wait for each other


def strategy_for(devices: int | str | list[int], num_nodes: int, accelerator: str = "auto") -> str:
    """Lightning's strategy: "auto" for one device, for several the DDP that a GAN needs.

    Each half-step uses one network only, for which plain DDP raises an error.
    """
    several = num_devices(devices, accelerator) > 1 or num_nodes > 1
    return DDP if several else "auto"


def num_devices(devices: int | str | list[int], accelerator: str = "auto") -> int:
    """Number of devices in ``trainer.devices``: a number, -1 or "auto" (all GPUs), or a list."""
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    if devices in ("auto", -1, "-1"):
        return max(1, visible_gpus()) if accelerator in GPUS else 1
    # Lightning raises for invalid values.
    return int(devices) if str(devices).lstrip("-").isdigit() else 1


def limit_threads() -> None:
    """Compute with as many threads as the process may use: PyTorch counts all cores of a machine.

    A container's quota (``docker --cpus=2``) is what matters; OMP_NUM_THREADS decides where it is
    set.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch  # here: --help needs no torch

    torch.set_num_threads(min(torch.get_num_threads(), usable_cpus()))


def usable_cpus() -> int:
    """Number of CPUs this process may use, within its affinity and a container's quota."""
    from joblib import cpu_count  # here: --help need not wait for numpy

    return cpu_count()


def visible_gpus() -> int:
    """Number of GPUs this process may use."""
    import torch  # here: composing a configuration for the CPU needs no torch

    return torch.cuda.device_count()
