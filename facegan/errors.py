"""Errors for users: a command prints the sentence and exits, without a traceback."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any


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


class FinishedError(InputError):
    """A run that is to go on has had all its epochs."""


class DivergedError(FaceganError):
    """Training produced a non-finite loss."""


class WriteError(FaceganError):
    """A file could not be written: no space or no permission."""


# Ask a run to stop. A terminal that is closed sends SIGHUP, SLURM SIGUSR1 before the time limit,
# submitit SIGUSR2.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]

# Exit statuses of Lightning's ``fit``; its coming versions leave by 143 on SIGTERM.
_STATUSES = {
    None: signal.SIGTERM,
    0: signal.SIGTERM,
    128 + signal.SIGTERM: signal.SIGTERM,
    1: signal.SIGINT,
    128 + signal.SIGINT: signal.SIGINT,
}

Handler = Callable[[int, FrameType | None], Any] | int | None


def handlers() -> dict[int, Handler]:
    """The handlers of :data:`SIGNALS`; without those that are ignored, as ``nohup`` has it.

    Empty outside the main thread, which alone can change them.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {signum: signal.getsignal(signum) for signum in SIGNALS}
    return {signum: handler for signum, handler in found.items() if handler != signal.SIG_IGN}


def restore(before: Mapping[int, Handler]) -> None:
    """Set the handlers that :func:`handlers` has found."""
    for signum, handler in before.items():
        if handler is not None:  # else it was not set from Python
            signal.signal(signum, handler)


def pass_on(signum: int, before: Mapping[int, Handler]) -> None:
    """Call the handler that was there before, such as submitit's, which requeues the job."""
    handler = before.get(signum)
    if callable(handler) and handler is not signal.default_int_handler:
        handler(signum, None)


def insists(received: Sequence[int]) -> bool:
    """Whether a signal was repeated, or followed by Ctrl-C: the run is to stop at once.

    Schedulers send different signals in turn, and a terminal that closes does, too.
    """
    return len(received) > 1 and (received[-1] in (*received[:-1], signal.SIGINT))


class InterruptedRun(FaceganError):  # noqa: N818  # a request, not an error
    """A signal stopped the command; the message says what was saved."""

    def __init__(self, sentence: str, signum: int) -> None:
        super().__init__(sentence)
        self.exit_code = 128 + signum  # what shells and schedulers expect


@contextmanager
def interruptible(state: Callable[[], str]) -> Iterator[None]:
    """Raise InterruptedRun where Lightning's ``fit`` exits because of Ctrl-C or SIGTERM.

    ``state()`` ends the sentence: what was saved. Other exits, as of a handler, stay what they are.
    """
    try:
        yield
    except SystemExit as exit_:
        signum = _STATUSES.get(exit_.code)  # type: ignore[arg-type]
        if signum is None:
            raise
        raise InterruptedRun(f"Stopped by {signum.name}: {state()}.", signum) from None


def came_too_late(signum: int) -> InterruptedRun:
    """The run is complete, but a sweep must not continue: the signal came in the last epoch."""
    name = signal.Signals(signum).name
    return InterruptedRun(f"{name} came after the last epoch: the run is complete.", signum)
