"""The processes of one training: who starts them, which one this is, and what they agree on.

Started by hand, ``facegan.train`` with several devices becomes a parent that starts one process
per device from the resolved configuration, waits, and never trains itself. So a sweep's other jobs
have no part in it, a rank that dies or hangs can be cleared away from outside, and no rank
composes a configuration of its own. Under torchrun and srun the processes are there already.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facegan.errors import SIGNALS, FaceganError, InputError, InterruptedRun, came_too_late
from facegan.launch.environment import JOB, _torchrun, _torchrun_store, rank

if TYPE_CHECKING:
    import torch

LOST = 75  # exit status of a process that has lost the others (EX_TEMPFAIL)
KILLED = getattr(signal, "SIGKILL", 9)  # Windows has no name for it
PATIENCE = 10.0  # seconds that the others have to end by themselves


class RankError(FaceganError):
    """A process of a job with several devices died without a word of its own."""


def reconnect(device: "torch.device") -> None:
    """Connect the processes that torchrun has restarted; after other starts Lightning does it.

    torchrun's store outlives them, with the addresses where those before could be found. Who reads
    before the others have written would knock at a closed door: each attempt gets names of its own.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if not _torchrun() or attempt == "0":
        return
    import torch.distributed as dist

    dist.init_process_group(
        dist.get_default_backend_for_device(device),
        store=dist.PrefixStore(f"facegan/attempt_{attempt}", _torchrun_store()),
        rank=rank(),
        world_size=int(os.environ["WORLD_SIZE"]),
        device_id=device if device.type != "cpu" else None,
    )


def run_ranks(configuration: str, count: int) -> None:
    """Run ``facegan.train`` in ``count`` processes on a ``configuration`` (YAML) until all end.

    Signals are passed on. A process that dies takes the others with it within seconds. Raises
    what it said (FaceganError, InterruptedRun), or RankError if it could say nothing.
    """
    import joblib  # here: --help need not wait for it

    with tempfile.TemporaryDirectory(prefix="facegan_") as directory:
        (Path(directory) / "configuration.yaml").write_text(configuration, encoding="utf-8")
        threads = int(os.environ.get("OMP_NUM_THREADS") or joblib.cpu_count())  # for all of them
        # What SLURM says is for this process, not for its children.
        own = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_") and k != "RANK"}
        environment = own | {
            JOB: directory,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "NODE_RANK": "0",
            "WORLD_SIZE": str(count),
            "OMP_NUM_THREADS": str(max(1, threads // count)),
        }
        ranks: list[subprocess.Popen] = []
        with _passing_on_signals(ranks) as received:
            try:
                for number in range(count):
                    rank = {"LOCAL_RANK": str(number)}
                    # In a session of its own, where Ctrl-C reaches it through this process only.
                    command = [sys.executable, "-m", "facegan.train"]
                    ranks.append(
                        subprocess.Popen(command, env=environment | rank, start_new_session=True)
                    )
                _wait_for(ranks)
            finally:
                for process in ranks:
                    process.kill()  # those that are left
                    process.wait()
        _raise_what_they_said(Path(directory), ranks, received)


def _wait_for(ranks: Sequence[subprocess.Popen]) -> None:
    """Until all have ended; or some seconds after one has failed, as the others may hang."""
    until = float("inf")
    while any(process.poll() is None for process in ranks) and time.monotonic() < until:
        if until == float("inf") and any(process.returncode for process in ranks):
            until = time.monotonic() + PATIENCE
        time.sleep(0.1)


def _raise_what_they_said(
    directory: Path, ranks: Sequence[subprocess.Popen], received: Sequence[int]
) -> None:
    for number, process in enumerate(ranks):
        said = directory / f"{number}.txt"
        if said.is_file():
            sentence, status = said.read_text(encoding="utf-8"), process.returncode
            if status > 128:
                raise InterruptedRun(sentence, status - 128)
            refused = status == InputError.exit_code
            error = InputError(sentence) if refused else FaceganError(sentence)
            error.exit_code = status
            raise error
    if received and any(process.returncode for process in ranks):
        name = signal.Signals(received[0]).name
        raise InterruptedRun(f"Stopped by {name}, before there was anything to save.", received[0])
    if received:
        raise came_too_late(received[0])
    statuses = {number: process.returncode for number, process in enumerate(ranks)}
    # Those that were stopped by us, or have lost the others, do not know why.
    first = next((n for n, status in statuses.items() if status not in (0, LOST)), None)
    if first is None and any(statuses.values()):
        reasons = [path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.lost"))]
        reason = reasons[0] if reasons else "they did not say why"
        raise RankError(
            f"The {len(ranks)} processes could not reach each other: {reason}. Checkpoints are "
            "intact: go on from the last one with resume=."
        )
    if first is not None:
        status = statuses[first]
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        raise RankError(
            f"Process {first} of {len(ranks)} ended with {how}"
            + (" (for want of memory, perhaps)" if status == -KILLED else "")
            + ", so the others were stopped. Checkpoints are intact: go on from the last one with "
            "resume=."
        )


@contextlib.contextmanager
def _passing_on_signals(ranks: list[subprocess.Popen]) -> Iterator[list[int]]:
    """Forward signals to the processes that train; yields a list of those received."""
    received: list[int] = []

    def pass_on(signum: int, frame: object) -> None:
        received.append(signum)
        for process in ranks:
            if process.poll() is None:
                process.send_signal(signum)

    before = {signum: signal.signal(signum, pass_on) for signum in SIGNALS}
    try:
        yield received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def configuration() -> str | None:
    """What :func:`run_ranks` has given this process to do, if it has started it."""
    directory = os.environ.get(JOB)
    if directory is None:
        return None
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    return (Path(directory) / "configuration.yaml").read_text(encoding="utf-8")


def report_error(sentence: str) -> None:
    """Leave the reason of the end to the process that waits for it."""
    path = Path(os.environ[JOB]) / f"{rank()}.txt"
    path.write_text(sentence, encoding="utf-8")


def report_lost_peers(sentence: str) -> None:
    """Leave what this process has seen of the end, in case that none knows more."""
    path = Path(os.environ[JOB]) / f"{rank()}.lost"
    path.write_text(sentence, encoding="utf-8")


def _end_with(parent: int) -> None:
    """Exit when the parent has died: nobody waits for this process any more."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(LOST)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
