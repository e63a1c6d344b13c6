"""Communication between the ranks of a training."""

import os
from datetime import timedelta

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy, Strategy

from facegan.launch.devices import DDP
from facegan.launch.environment import is_torchrun, rank, torchrun_store

# How long a rank waits for another: rank 0 scores clusters and quality alone. Lightning's limit is
# half an hour, NCCL's own ten minutes.
TIMEOUT = timedelta(hours=6)


def strategy(name: str) -> str | Strategy:
    """The value of Lightning's ``Trainer(strategy=...)`` for ``trainer.strategy``.

    :data:`~facegan.launch.devices.DDP` becomes an object with our :data:`TIMEOUT`; other names
    are returned as they are.
    """
    return DDPStrategy(find_unused_parameters=True, timeout=TIMEOUT) if name == DDP else name


def reconnect(device: torch.device) -> None:
    """Connect the ranks that torchrun has restarted; after other starts Lightning connects them.

    torchrun's store outlives the ranks. Keys carry the attempt's number: a rank that reads early
    would otherwise find the addresses of the previous attempt.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if not is_torchrun() or attempt == "0":
        return
    dist.init_process_group(
        dist.get_default_backend_for_device(device),
        store=dist.PrefixStore(f"facegan/attempt_{attempt}", torchrun_store()),
        rank=rank(),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=TIMEOUT,
        device_id=device if device.type != "cpu" else None,
    )
