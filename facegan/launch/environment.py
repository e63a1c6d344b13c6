"""Which process this is: a worker of ours, of torchrun's or of srun's."""

import contextlib
import os
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed import TCPStore

JOB = "FACEGAN_JOB"  # directory of what a started process is to do, and of what it says at the end


def rank() -> int:
    """Number of this process among all of its job; 0 where it is the only one."""
    if JOB in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if _torchrun():
        return int(os.environ["RANK"])
    return int(os.environ["SLURM_PROCID"]) if _srun() else 0


def leads() -> bool:
    """Whether this process answers for its job: the parent, the only one, or the first of all."""
    return rank() == 0 and JOB not in os.environ


def is_local_rank_zero() -> bool:
    """Whether no other process of this job on this machine has a lower number."""
    name = "SLURM_LOCALID" if _srun() and not _torchrun() else "LOCAL_RANK"
    return int(os.environ.get(name) or 0) == 0


def started() -> bool:
    """Whether this process is one of several that something has started: us, torchrun or srun."""
    return JOB in os.environ or _torchrun() or (_srun() and _nodes_and_tasks()[1] > 1)


def local_world_size() -> int:
    """Processes on this machine, as torchrun or srun have started them; else 1."""
    if _torchrun():
        return int(os.environ["LOCAL_WORLD_SIZE"])
    nodes, tasks = _nodes_and_tasks()
    return max(1, tasks // nodes)


def nodes() -> int:
    """Machines of this job, as torchrun or srun have started it; else 1."""
    if _torchrun():
        return max(1, int(os.environ["WORLD_SIZE"]) // local_world_size())
    return _nodes_and_tasks()[0]


def restarted() -> bool:
    """Whether torchrun (``--max-restarts``) or SLURM (requeued) has started this job again."""
    return any(
        int(os.environ.get(name) or 0) > 0
        for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    )


def run_name() -> str:
    """What a run directory is called after: the time of the start, or the number of a SLURM job.

    All processes of a job get the same, on all machines and after a restart.
    """
    if _srun():
        job, step = os.environ["SLURM_JOB_ID"], os.environ["SLURM_STEP_ID"]
        return f"slurm_{job}" if step == "0" else f"slurm_{job}_{step}"
    if _torchrun():
        return _agreed(_time_of_parent())
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}"


def _torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _srun() -> bool:
    """Whether srun has started this process, and not a shell that somebody types into."""
    interactive = "SLURM_PTY_PORT" in os.environ or os.environ.get("SLURM_JOB_NAME") in (
        "bash",
        "interactive",
    )
    # In a batch script alone no step has a number.
    step = os.environ.get("SLURM_STEP_ID", "").isdigit() and "SLURM_JOB_ID" in os.environ
    return step and not interactive


def _nodes_and_tasks() -> tuple[int, int]:
    if not _srun():
        return 1, 1
    count = (os.environ.get(name) or "1" for name in ("SLURM_STEP_NUM_NODES", "SLURM_NTASKS"))
    found, tasks = (int(value) for value in count)
    return found, tasks


def _time_of_parent() -> str:
    """When torchrun was started: it stays, whatever it restarts."""
    with contextlib.suppress(OSError, ValueError):
        fields = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
        up = float(Path("/proc/uptime").read_text().split()[0])
        began = time.time() - up + int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return f"{datetime.fromtimestamp(round(began)):%Y-%m-%d_%H-%M-%S}"
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}"


def _agreed(proposal: str) -> str:
    """The first process's ``proposal``, also after a restart."""
    store = _torchrun_store()
    key = "facegan/run_name"
    if rank() == 0:
        store.compare_set(key, "", proposal)  # the first one stays
    return store.get(key).decode()


def _torchrun_store() -> "TCPStore":
    """What torchrun's processes tell each other by, whether it or the first of them keeps it."""
    from torch.distributed import TCPStore

    own = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and rank() == 0
    return TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=own,
        wait_for_workers=False,
    )
