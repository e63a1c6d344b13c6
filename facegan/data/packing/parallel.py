"""Writing the rows of a store in several processes.

joblib's loky was tried instead (1.6). Ten seconds after its parent was killed, its workers
still ran; they stay in memory after a successful run; in a daemon process it falls back to one.
``multiprocessing`` imports the caller's main module again in every worker
(seconds of torch each, endless recursion in a script without a ``__main__`` guard). These workers
are plain ``python -c`` children: they import what decodes pictures and no torch, and exit when
their standard input closes, however the parent died.
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
Bad = dict[int, str]  # row -> why its picture cannot be read


class RowReader(Protocol):
    """Turns row numbers into pixels. It is pickled for the workers: its module imports no torch."""

    def fill(self, out: np.ndarray, start: int) -> Bad:
        """Write rows from ``start`` on into ``out`` (n, C, H, W) uint8; return the bad ones."""
        ...


@dataclass(frozen=True)
class RowWriter:
    """Writes rows of ``reader`` into the file ``path``, whose first row begins at ``offset``."""

    reader: RowReader
    path: Path
    offset: int
    shape: tuple[int, int, int]

    def write(self, start: int, stop: int) -> Bad:
        """Write rows ``start`` to ``stop``; returns the bad ones, which become zeros."""
        # Not through a memory map: a full disk is then an OSError instead of a SIGBUS, and no page
        # of the file counts as this process's memory.
        block = np.zeros((stop - start, *self.shape), np.uint8)
        bad = self.reader.fill(block, start)
        with self.path.open("r+b") as file:
            file.seek(self.offset + start * int(np.prod(self.shape)))
            file.write(block.data)
        return bad


def write_rows(
    writer: RowWriter, chunks: list[tuple[int, int]], processes: int
) -> Generator[tuple[int, Bad], None, None]:
    """Write ``chunks`` of rows; yields (number of rows, bad ones) as each is finished.

    ``processes=1`` stays in this process. No worker survives, also when the generator is closed
    early or an exception is raised. Raises InputError if a worker died; exceptions of the reader
    have the worker's traceback as a note.
    """
    processes = min(processes, len(chunks), MAX_PROCESSES)
    if processes <= 1:
        for start, stop in chunks:
            yield stop - start, writer.write(start, stop)
        return

    workers: list[_Worker] = []
    idle: SimpleQueue[_Worker] = SimpleQueue()

    def write(start: int, stop: int) -> tuple[int, Bad]:
        worker = idle.get()
        try:
            return stop - start, worker.write(start, stop)
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(processes)
    try:
        for _ in range(processes):
            workers.append(_Worker(writer))
            idle.put(workers[-1])
        for future in as_completed([pool.submit(write, *chunk) for chunk in chunks]):
            yield future.result()
    finally:
        # Killing the workers ends the reads that the threads may be waiting in.
        for worker in workers:
            worker.kill()
        pool.shutdown(cancel_futures=True)


class _Worker:
    """A child process, as the parent sees it."""

    def __init__(self, writer: RowWriter) -> None:
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
        self._send(writer)

    def _send(self, message: object) -> None:
        pickle.dump(message, self.process.stdin)
        self.process.stdin.flush()

    def write(self, start: int, stop: int) -> Bad:
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
            with suppress(OSError):  # unsent bytes cannot be flushed
                pipe.close()


def serve() -> None:
    """The worker: write what the parent asks for until it closes standard input or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    try:
        writer: RowWriter = pickle.load(requests)
        while True:
            start, stop = pickle.load(requests)
            try:
                answer: Bad | Exception = writer.write(start, stop)
            except Exception as error:
                error.add_note(traceback.format_exc())
                answer = error
            pickle.dump(answer, answers)
            answers.flush()
    except (EOFError, OSError):  # the parent has finished or died
        os._exit(0)
