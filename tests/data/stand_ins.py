"""Readers for the tests of preparing; in a module of their own, for the workers to import."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegan.data.packing.source import Source


@dataclass(frozen=True)
class Counting:
    """Row i is filled with i % 251; ``bad`` rows cannot be read; each read leaves a mark.

    With a ``gate``, reading waits until that file exists.
    """

    bad: tuple[int, ...] = ()
    marks: Path | None = None
    pause: float = 0.0
    gate: Path | None = None

    def fill(self, out: np.ndarray, start: int) -> dict[int, str]:
        time.sleep(self.pause)
        if self.marks:
            with self.marks.open("a") as file:
                file.write(f"{start}\n")
        while self.gate and not self.gate.exists():
            time.sleep(0.02)
        out[:] = (np.arange(start, start + len(out)) % 251).reshape(-1, 1, 1, 1)
        return {row: "broken" for row in self.bad if start <= row < start + len(out)}


@dataclass(frozen=True)
class Failing:
    """A reader with a mistake in it."""

    error: BaseException

    def fill(self, out: np.ndarray, start: int) -> dict[int, str]:
        raise self.error


@dataclass(frozen=True)
class Pids:
    """Writes the number of the process that reads; ``fatal``: which then dies."""

    path: Path
    fatal: bool = False

    def fill(self, out: np.ndarray, start: int) -> dict[int, str]:
        with self.path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if self.fatal:
            os._exit(3)
        return {}


def source(n: int = 40, reader: object = None, **more: object) -> Source:
    """A source whose labels, splits, identities and names all say which row they belong to."""
    values = {
        "name": "counting",
        "size": 8,
        "channels": 1,
        "reader": reader or Counting(),
        "names": [f"{i}.png" for i in range(n)],
        "labels": np.arange(n)[:, None],
        "label_names": ["row"],
        "splits": np.arange(n) % 3,
        "identities": np.arange(n) + 1000,
    }
    return Source(**{**values, **more})  # type: ignore[arg-type]
