"""The files of a run directory, and its lock."""

import errno
import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from facegan.errors import InputError, OccupiedError, WriteError
from facegan.quoting import assignment

RESULT = "result.json"  # how the run ended
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


def last_checkpoint(run_dir: str | Path) -> Path:
    """The checkpoint that a run resumes from, and that its directory stands for."""
    return Path(run_dir) / "checkpoints" / "last.ckpt"


def checkpoint_file(path: str | Path) -> Path:
    """The file that ``path`` names: itself, or ``checkpoints/last.ckpt`` of a run directory.

    Raises InputError if it does not exist.
    """
    path = Path(str(path)).expanduser()  # the command line reads a directory "0" as a number
    if path.is_dir():
        path = last_checkpoint(path)
    if not path.is_file():
        raise InputError(f"There is no checkpoint at {path}.")
    return path


def new_directory(path: str | Path) -> Path:
    """Create ``path``, or ``path_2``, ``path_3``, ... if it is taken, and return which.

    Of several processes that ask for the same ``path`` at once each gets a directory of its own,
    also on a file system without locks.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        candidate = path.with_name(f"{path.name}_{number}") if number > 1 else path
        try:
            candidate.mkdir()
        except FileExistsError:
            continue
        return candidate
    raise AssertionError("numbers do not end")


@contextmanager
def reserved(run_dir: str | Path, patience: float = 0) -> Iterator[None]:
    """Lock ``run_dir`` against other trainings; the system releases it when the process ends.

    Raises OccupiedError if it is still locked after ``patience`` seconds, WriteError if it cannot
    be written to. A file system without locks (NFS and Lustre can be set up so) locks nothing.
    """
    lock = FileLock(Path(run_dir) / ".lock", timeout=patience, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise OccupiedError(
            f"Another process is training in {run_dir}: wait for its end, or choose another "
            "hydra.run.dir."
        ) from None
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise WriteError(
                f"Nothing can be written to {run_dir} ({error.strerror}): make room or choose "
                "another hydra.run.dir."
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def claimed(
    run_dir: str | Path, resuming: bool, patience: float = 0, keep: bool = False
) -> Iterator[None]:
    """Lock ``run_dir`` for one run, and remove it if a new run is refused, unless ``keep``.

    Raises OccupiedError if another run is in it and ``resuming`` is false.
    """
    run_dir = Path(run_dir)
    with reserved(run_dir, patience):
        # A run killed before its first checkpoint has nothing to resume: it starts from scratch.
        last = last_checkpoint(run_dir)  # the best is written before it
        if not resuming and (last.exists() or (run_dir / RESULT).exists()):
            raise OccupiedError(
                f"{run_dir} holds a run already: continue it "
                f"({assignment('resume', run_dir)}), or choose another hydra.run.dir."
            )
        new = is_new(run_dir)
        try:
            yield
        except InputError:
            if new and not keep:
                discard(run_dir)
            raise


def is_new(run_dir: str | Path) -> bool:
    """Whether it holds nothing but empty files, which Hydra and the lock create."""
    return all(path.is_file() and path.stat().st_size == 0 for path in Path(run_dir).iterdir())


def discard(run_dir: str | Path) -> None:
    """Remove the directory of a new run that was refused before its first step.

    It stays if it holds foreign files, is a link or is the working directory.
    """
    path = Path(run_dir)
    own = {".hydra", ".lock", "train.log", "hparams.yaml", "wandb", "tensorboard"}
    if path.is_symlink() or path.resolve() == Path.cwd():
        return
    if own.issuperset(file.name for file in path.iterdir()):
        shutil.rmtree(path, ignore_errors=True)


def run_dir_of(checkpoint: Path) -> Path:
    """The run directory of ``checkpoint``, a file in it or the directory itself."""
    if checkpoint.is_dir():
        return checkpoint
    parent = checkpoint.parent
    return parent.parent if parent.name == "checkpoints" else parent
