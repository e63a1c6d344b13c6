"""Where things lie in a run directory, and who may write there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from facegan.errors import OccupiedError

RESULT = "result.json"  # how the run ended


def last_checkpoint(run_dir: str | Path) -> Path:
    """The file that a run goes on from, and that is meant where a run directory is named."""
    return Path(run_dir) / "checkpoints" / "last.ckpt"


@contextmanager
def reserved(run_dir: str | Path, patience: float = 0) -> Iterator[None]:
    """Keep other processes from training in ``run_dir``, for as long as this one lives at most.

    Raises OccupiedError if one still does after ``patience`` seconds. Where a file system knows no
    locks (NFS and Lustre can be set up so) nothing is kept.
    """
    lock = FileLock(Path(run_dir) / ".lock", timeout=patience, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise OccupiedError(
            f"Another process is training in {run_dir}: wait for its end, or choose another "
            "hydra.run.dir."
        ) from None
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()


def is_new(run_dir: str | Path) -> bool:
    """Whether there is nothing in it but what Hydra and a lock put there first: empty files."""
    return all(path.is_file() and path.stat().st_size == 0 for path in Path(run_dir).iterdir())


def discard(run_dir: str | Path) -> None:
    """Remove what a new run that was refused has written: its log and its configuration.

    What somebody else has put beside it stays, and so do links and the working directory.
    """
    path = Path(run_dir)
    ours = {".hydra", ".lock", "train.log"}
    if path.is_symlink() or path.resolve() == Path.cwd():
        return
    if ours.issuperset(file.name for file in path.iterdir()):
        shutil.rmtree(path, ignore_errors=True)


def run_dir_of(checkpoint: Path) -> Path:
    """The directory that ``checkpoint``, a file or that directory itself, lies in."""
    if checkpoint.is_dir():
        return checkpoint
    parent = checkpoint.parent
    return parent.parent if parent.name == "checkpoints" else parent
