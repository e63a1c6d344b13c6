"""Where things lie in a run directory."""

from pathlib import Path

RESULT = "result.json"  # how the run ended


def last_checkpoint(run_dir: str | Path) -> Path:
    """The file that a run goes on from, and that is meant where a run directory is named."""
    return Path(run_dir) / "checkpoints" / "last.ckpt"


def run_dir_of(checkpoint: Path) -> Path:
    """The directory that ``checkpoint``, a file or that directory itself, lies in."""
    if checkpoint.is_dir():
        return checkpoint
    parent = checkpoint.parent
    return parent.parent if parent.name == "checkpoints" else parent
