"""Errors a user is meant to read: entry points print the sentence and exit, without a traceback."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class FaceganError(Exception):
    """Ends the command with its message, one sentence, and ``exit_code``."""

    exit_code = 1


class InputError(FaceganError, ValueError):
    """Something the user gave (a config value, a path, a file) cannot be used.

    The message says what was wrong, where, and what to do.
    """

    exit_code = 2


class OccupiedError(InputError):
    """A run directory belongs to another run: nothing may be written to it."""


class DivergedError(FaceganError):
    """Training produced a non-finite loss."""


class WriteError(FaceganError):
    """Something could not be written, for want of space or of permission."""


SIGNALS = [  # that ask a run to stop; SIGUSR1 is how SLURM announces the end of the time
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
]


class InterruptedRun(FaceganError):  # noqa: N818  # a request, not an error
    """A signal asked the command to stop: what it has saved, its sentence says."""

    def __init__(self, sentence: str, signum: int) -> None:
        super().__init__(sentence)
        self.exit_code = 128 + signum  # what shells and schedulers expect


@contextmanager
def interruptible(state: Callable[[], str]) -> Iterator[None]:
    """Around Lightning's ``fit``, which leaves by SystemExit: on Ctrl-C with 1, on SIGTERM with 0.

    Raises InterruptedRun instead, with ``state()`` at the end of its sentence.
    """
    try:
        yield
    except SystemExit as exit_:
        signum = signal.SIGINT if exit_.code else signal.SIGTERM
        raise InterruptedRun(f"Stopped by {signum.name}: {state()}.", signum) from None


def came_too_late(signum: int) -> InterruptedRun:
    """Of a signal during the last evaluation: that run is done, but nothing is to follow it."""
    name = signal.Signals(signum).name
    return InterruptedRun(
        f"{name} came when the run had just had its last epoch: it is done.", signum
    )
