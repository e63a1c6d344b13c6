"""State of the process that a command changes while it runs, and restores."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_LIGHTNING = (
    "pytorch_lightning.utilities.rank_zero",
    "lightning_fabric.utilities.seed",
    "lightning_fabric.utilities.distributed",
)
_NOT_FOR_USERS = (
    ".*number of training batches .* is smaller than the logging interval.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*The dirpath has changed from.*",  # ckpt= starts a new run
    ".*callbacks used to create the checkpoint need to be.*",  # what a resume changes is printed
    ".*your dataloader is not resumable.*",  # it is: see ImageDataModule
    ".*does not have many workers.*",  # a batch is one gather from memory-mapped rows
    ".*`val_dataloader` but have no `validation_step`.*",
    ".*recommended to use `self.log.*sync_dist.*",  # all ranks log the same
    ".*module\\(s\\) in eval mode.*",  # the averaged generator
    "KMeans is known to have a memory leak on Windows.*",  # of a few bytes an iteration
    "Glyph .* missing from .*font.*",  # an empty box in a picture, once for each draw of it
)


@contextmanager
def quiet(level: int = logging.NOTSET) -> Iterator[None]:
    """Hide library messages meant for developers; facegan itself logs from ``level`` on."""
    levels = {name: logging.getLogger(name).level for name in (*_LIGHTNING, "facegan")}
    with warnings.catch_warnings():
        for message in _NOT_FOR_USERS:
            warnings.filterwarnings("ignore", message)
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        for name in _LIGHTNING:
            logging.getLogger(name).setLevel(logging.WARNING)
        if level:
            logging.getLogger("facegan").setLevel(level)
        try:
            yield
        finally:
            for name, before in levels.items():
                logging.getLogger(name).setLevel(before)


@contextmanager
def restored() -> Iterator[None]:
    """Restore the environment, ``sys.argv``, output and the root logger's handlers at the end.

    Until then names that standard output cannot show are escaped, as standard error does.
    """
    environment, argv, root = dict(os.environ), list(sys.argv), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stdout, errors = sys.stdout, getattr(sys.stdout, "errors", None)
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        sys.argv[:] = argv
        if isinstance(stdout, io.TextIOWrapper):
            stdout.reconfigure(errors=errors)
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)


@contextmanager
def arguments_for_hydra(arguments: Sequence[str]) -> Iterator[None]:
    """Pass ``arguments`` to Hydra, which reads ``sys.argv``, and make it raise its errors."""
    with restored():
        os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise it prints them and exits
        sys.argv[1:] = arguments
        yield
