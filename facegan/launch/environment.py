"""Which process this is: a rank started by facegan, torchrun or srun, or the only process."""

import contextlib
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

JOB = "FACEGAN_JOB"  # in a rank that facegan started: directory of its configuration and its report


def rank() -> int:
    """Number of this process among all ranks of the training; 0 where it is the only one."""
    if JOB in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if is_torchrun():
        return int(os.environ["RANK"])
    return int(os.environ["SLURM_PROCID"]) if _is_srun() else 0


def is_main() -> bool:
    """Whether this is the parent, a single process, or rank 0 of an external launcher."""
    return rank() == 0 and JOB not in os.environ


def is_local_rank_zero() -> bool:
    """Whether this is the lowest rank on this machine."""
    name = "SLURM_LOCALID" if _is_srun() and not is_torchrun() else "LOCAL_RANK"
    return int(os.environ.get(name) or 0) == 0


def started() -> bool:
    """Whether this is one of several ranks, started by facegan, torchrun or srun."""
    return JOB in os.environ or is_torchrun() or (_is_srun() and _nodes_and_tasks()[1] > 1)


def local_world_size() -> int:
    """Number of ranks that torchrun or srun has started on this machine; else 1."""
    if is_torchrun():
        return int(os.environ["LOCAL_WORLD_SIZE"])
    nodes, tasks = _nodes_and_tasks()
    return max(1, tasks // nodes)


def nodes() -> int:
    """Number of machines on which torchrun or srun has started ranks; else 1."""
    if is_torchrun():
        return max(1, int(os.environ["WORLD_SIZE"]) // local_world_size())
    return _nodes_and_tasks()[0]


def restarted() -> bool:
    """Whether torchrun (``--max-restarts``) or SLURM (requeue) has started this job again."""
    return any(
        int(os.environ.get(name) or 0) > 0
        for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    )


def run_name() -> str:
    """Name of a new run directory: the time of the start, or the number of the SLURM job.

    The same on all ranks and machines, and after a restart.
    """
    if _is_srun():
        job, step = os.environ["SLURM_JOB_ID"], os.environ["SLURM_STEP_ID"]
        return f"slurm_{job}" if step == "0" else f"slurm_{job}_{step}"
    if is_torchrun():
        return _agreed("run_name", _start_of_parent())
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}"


def names_directories() -> bool:
    """Whether this process may call a new directory otherwise where the name is taken.

    A job that SLURM or torchrun has started again goes on in its directory. The tasks of one srun
    cannot tell each other another name.
    """
    if rank() > 0 or (_nodes_and_tasks()[1] > 1 and not is_torchrun()):
        return False
    return not (restarted() and (_is_srun() or is_torchrun()))


def agreed_name(name: str) -> str:
    """The name that rank 0 has chosen for the directory, on all ranks of torchrun."""
    return _agreed("directory", name) if is_torchrun() else name


def started_otherwise() -> str | None:
    """``NAME=NUMBER`` of several processes that another launcher has started; None if it has not.

    MPI and the operators of Kubernetes set such variables.
    """
    if started():
        return None
    for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 1:
            return f"{name}={value}"
    return None


def is_torchrun() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _is_srun() -> bool:
    """Whether srun has started this process itself, not an interactive shell."""
    interactive = "SLURM_PTY_PORT" in os.environ or os.environ.get("SLURM_JOB_NAME") in (
        "bash",
        "interactive",
    )
    # In a batch script outside of srun the step has no number.
    step = os.environ.get("SLURM_STEP_ID", "").isdigit() and "SLURM_JOB_ID" in os.environ
    return step and not interactive


def _nodes_and_tasks() -> tuple[int, int]:
    if not _is_srun():
        return 1, 1
    count = (os.environ.get(name) or "1" for name in ("SLURM_STEP_NUM_NODES", "SLURM_NTASKS"))
    machines, tasks = (int(value) for value in count)
    return machines, tasks


def _start_of_parent() -> str:
    """When torchrun was started, which its restarts do not change."""
    with contextlib.suppress(OSError, ValueError):
        fields = (
            Path(f"/proc/{os.getppid()}/stat")
            .read_text(encoding="utf-8")
            .rpartition(")")[2]
            .split()
        )
        up = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        began = time.time() - up + int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return f"{datetime.fromtimestamp(round(began)):%Y-%m-%d_%H-%M-%S}"
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}"


def _agreed(key: str, proposal: str) -> str:
    """Rank 0's first ``proposal`` on all ranks, also after a restart."""
    store = torchrun_store()
    if rank() == 0:
        store.compare_set(f"facegan/{key}", "", proposal)  # keeps an earlier one
    return store.get(f"facegan/{key}").decode()


def torchrun_store() -> Any:
    """torchrun's rendezvous store (TCPStore), hosted by its agent or by rank 0."""
    from torch.distributed import TCPStore  # here: composing a configuration needs no torch

    is_host = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and rank() == 0
    return TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=is_host,
        wait_for_workers=False,
    )
