"""Filling the rows of a store in several processes.

The workers are plain ``python -c`` children, not ``multiprocessing`` ones: those import the
caller's main module again (seconds of torch each, endless recursion in a script without a
``__main__`` guard) and cannot be started from a daemon. These import what decodes pictures and no
torch, and end by themselves when their standard input closes, however the parent died.
"""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

from facegan.errors import InputError

MAX_PROCESSES = 16  # x about 50 MB each; more would also wait for the disk
Bad = dict[int, str]  # row -> why there is no picture in it
Done = Generator[tuple[int, Bad], None, None]


class Reader(Protocol):
    """Turns row numbers into pixels. It is sent to the workers, so its module imports no torch."""

    def fill(self, out: np.ndarray, start: int) -> Bad:
        """Write rows from ``start`` on into ``out`` (n, C, H, W) uint8; say which failed."""
        ...


@dataclass(frozen=True)
class Job:
    """Rows of ``reader`` written at their place in the file ``path`` from byte ``offset`` on."""

    reader: Reader
    path: Path
    offset: int
    shape: tuple[int, int, int]

    def run(self, start: int, stop: int) -> Bad:
        # Written, not stored through a memory map: a full disk is then an OSError and no SIGBUS,
        # and no page of the file counts as this process's memory.
        block = np.zeros((stop - start, *self.shape), np.uint8)
        bad = self.reader.fill(block, start)
        with self.path.open("r+b") as file:
            file.seek(self.offset + start * int(np.prod(self.shape)))
            file.write(block.data)
        return bad


def run(job: Job, chunks: list[tuple[int, int]], processes: int) -> Done:
    """Run ``job`` over ``chunks`` of rows; yields (rows done, bad ones) as they finish.

    ``processes=1`` stays in this process. Whatever happens here, no worker survives.
    """
    processes = min(processes, len(chunks), MAX_PROCESSES)
    if processes <= 1:
        for start, stop in chunks:
            yield stop - start, job.run(start, stop)
        return

    workers: list[_Worker] = []
    idle: SimpleQueue[_Worker] = SimpleQueue()

    def ask(start: int, stop: int) -> tuple[int, Bad]:
        worker = idle.get()
        try:
            return stop - start, worker.ask(start, stop)
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(processes)
    try:
        for _ in range(processes):
            workers.append(_Worker(job))
            idle.put(workers[-1])
        for done in as_completed([pool.submit(ask, *chunk) for chunk in chunks]):
            yield done.result()
    finally:
        # Killing the workers ends the reads that the threads may be waiting in.
        for worker in workers:
            worker.kill()
        pool.shutdown(cancel_futures=True)


class _Worker:
    """The parent's end of one child process."""

    def __init__(self, job: Job) -> None:
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
            "OMP_NUM_THREADS": "1",  # the processes are the parallelism
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
        self.process: Any = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        self._send(job)

    def _send(self, message: object) -> None:
        pickle.dump(message, self.process.stdin)
        self.process.stdin.flush()

    def ask(self, start: int, stop: int) -> Bad:
        try:
            self._send((start, stop))
            answer = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            status = self.process.wait()
            raise InputError(
                f"A process preparing rows {start} to {stop} ended early (status {status}), "
                "most often because the machine ran out of memory; run the same command again."
            ) from error
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # of unsent bytes of a question nobody will answer
                pipe.close()


def serve() -> None:
    """Answer the parent's questions until it closes our standard input or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    questions = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing a library prints may get into the answers
    try:
        job: Job = pickle.load(questions)
        while True:
            start, stop = pickle.load(questions)
            try:
                answer: Bad | Exception = job.run(start, stop)
            except Exception as error:
                error.add_note(traceback.format_exc())  # where here, for whoever raises it there
                answer = error
            pickle.dump(answer, answers)
            answers.flush()
    except (EOFError, OSError):  # the parent is done or dead
        os._exit(0)
