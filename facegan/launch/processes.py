"""One process per device of this machine, started and supervised by a parent that does not train.

torch's own launcher (``torch.distributed.launcher``) forwards a signal once and kills the ranks
after a fixed time, and reports tracebacks instead of the sentence of the rank that failed first.
It also imports torch in the parent, which delays the ranks by seconds, and changes its
environment, which the next job of a sweep inherits.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from facegan.errors import (
    FaceganError,
    InputError,
    InterruptedRun,
    came_too_late,
    handlers,
    insists,
    pass_on,
    restore,
)
from facegan.files import write_json
from facegan.launch.devices import usable_cpus
from facegan.launch.environment import JOB

PEERS_LOST = 75  # exit status of a rank that has lost the connection to another (EX_TEMPFAIL)
PATIENCE = 10.0  # seconds that ranks have to end once one has failed, or after a second signal


class RankError(FaceganError):
    """A rank ended without reporting a reason."""


def run_ranks(configuration: str, count: int) -> None:
    """Run ``facegan.train`` in ``count`` processes on a ``configuration`` (YAML) until all end.

    Signals are forwarded. Soon after a rank has failed, the others are stopped. Raises what a rank
    reports (FaceganError, InputError, InterruptedRun), or RankError if one ends without a report.
    """
    with tempfile.TemporaryDirectory(prefix="facegan_") as name:
        directory = Path(name)
        (directory / "configuration.yaml").write_text(configuration, encoding="utf-8")
        environment = _environment(directory, count)
        ranks: list[subprocess.Popen[bytes]] = []
        with _forwarding_signals(ranks) as received:
            try:
                while len(ranks) < count and not received:
                    ranks.append(
                        subprocess.Popen(
                            [sys.executable, "-m", "facegan.train"],
                            env={**environment, "LOCAL_RANK": str(len(ranks))},
                            start_new_session=True,  # so that Ctrl-C reaches the parent only
                        )
                    )
                statuses = _wait_for(ranks, received)
            finally:
                for process in ranks:
                    process.kill()
                    process.wait()
        _raise_failure(directory, statuses, count, received)


def _environment(directory: Path, count: int) -> dict[str, str]:
    """Environment variables of all ranks; Lightning's LightningEnvironment reads the addresses."""
    threads = int(os.environ.get("OMP_NUM_THREADS") or usable_cpus())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Lightning would take the variables of SLURM's task, which is the parent, for a rank's own.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_RESTART_COUNT" or not (name.startswith("SLURM_") or name == "RANK")
    }
    return inherited | {
        JOB: str(directory),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": str(max(1, threads // count)),
    }


def _wait_for(ranks: Sequence[subprocess.Popen[bytes]], received: Sequence[int]) -> dict[int, int]:
    """Exit statuses by rank, in the order in which the ranks ended.

    Ranks that have not ended PATIENCE seconds after a failure are missing. A rank that leaves
    because of a signal has not failed: another may need long to upload what it has logged.
    """
    statuses: dict[int, int] = {}
    until = float("inf")
    while len(statuses) < len(ranks) and time.monotonic() < until:
        time.sleep(0.1)
        for number, process in enumerate(ranks):
            if number not in statuses and process.poll() is not None:
                statuses[number] = process.returncode
        failed = set(statuses.values()) - {0} - {128 + signum for signum in received}
        if failed or insists(received):
            until = min(until, time.monotonic() + PATIENCE)
    return statuses


def _raise_failure(
    directory: Path, statuses: Mapping[int, int], count: int, received: Sequence[int]
) -> None:
    """Raise the error that explains how the ranks ended, unless all of them are done."""
    reports = [json.loads(path.read_text("utf-8")) for path in sorted(directory.glob("*.json"))]
    reasons = [report for report in reports if report["status"] != PEERS_LOST]
    if reasons:
        # A failure explains more than the fact that other ranks were stopped by a signal.
        reason = min(reasons, key=lambda report: report["status"] > 128)
        sentence, status = reason["sentence"], reason["status"]
        if status > 128:
            raise InterruptedRun(sentence, status - 128)
        error = InputError(sentence) if status == InputError.exit_code else FaceganError(sentence)
        error.exit_code = status
        raise error
    failed = {number: status for number, status in statuses.items() if status}
    if received and (failed or len(statuses) < count):
        name = signal.Signals(received[0]).name
        raise InterruptedRun(f"Stopped by {name}, before there was anything to save.", received[0])
    if received:
        raise came_too_late(received[0])
    intact = "Checkpoints are intact: continue from the last one with resume=RUN_DIR."
    for number, status in failed.items():
        if status != PEERS_LOST:
            how = signal.Signals(-status).name if status < 0 else f"status {status}"
            memory = " (probably out of memory)" if how == "SIGKILL" else ""
            raise RankError(
                f"Process {number} of {count} ended with {how}{memory}, so the others were "
                f"stopped. {intact}"
            )
    if failed:
        why = reports[0]["sentence"] if reports else "they did not report why"
        raise RankError(f"The {count} processes could not reach each other: {why}. {intact}")


@contextlib.contextmanager
def _forwarding_signals(ranks: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    """Forward signals to the ``ranks`` that run; yields a list of those received so far."""
    received: list[int] = []

    def forward(signum: int, frame: object) -> None:
        received.append(signum)
        for process in ranks:
            process.send_signal(signum)  # unless it has ended

    before = handlers()
    for signum in before:
        signal.signal(signum, forward)
    try:
        yield received
    finally:
        restore(before)
        if received:
            pass_on(received[0], before)  # the ranks have saved


def configuration() -> str | None:
    """In a rank that :func:`run_ranks` has started: its configuration; None in other processes.

    From here on the rank ends when its parent does.
    """
    if JOB not in os.environ:
        return None
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    return Path(os.environ[JOB], "configuration.yaml").read_text(encoding="utf-8")


def report_failure(sentence: str, status: int) -> None:
    """Tell the parent why this rank is about to exit with ``status``."""
    path = Path(os.environ[JOB], f"{os.environ['LOCAL_RANK']}.json")
    write_json(path, {"sentence": sentence, "status": status})


def _end_with(parent: int) -> None:
    """Exit when the process ``parent`` has ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(PEERS_LOST)
