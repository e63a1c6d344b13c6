"""Errors for users: a command prints the sentence and exits, without a traceback."""

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
    """A file could not be written: no space or no permission."""


SIGNALS = [  # ask a run to stop; SLURM sends SIGUSR1 before the time limit
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
]


class InterruptedRun(FaceganError):  # noqa: N818  # a request, not an error
    """A signal stopped the command; the message says what was saved."""

    def __init__(self, sentence: str, signum: int) -> None:
        super().__init__(sentence)
        self.exit_code = 128 + signum  # what shells and schedulers expect


@contextmanager
def interruptible(state: Callable[[], str]) -> Iterator[None]:
    """Raise InterruptedRun where Lightning's ``fit`` exits: with 1 on Ctrl-C, with 0 on SIGTERM.

    ``state()`` ends the sentence: what was saved.
    """
    try:
        yield
    except SystemExit as exit_:
        signum = signal.SIGINT if exit_.code else signal.SIGTERM
        raise InterruptedRun(f"Stopped by {signum.name}: {state()}.", signum) from None


def came_too_late(signum: int) -> InterruptedRun:
    """The run is complete, but a sweep must not continue: the signal came in the last epoch."""
    name = signal.Signals(signum).name
    return InterruptedRun(f"{name} came after the last epoch: the run is complete.", signum)
