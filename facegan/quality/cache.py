"""A cache of the vectors of real images, on disk beside their store and in memory."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facegan.files import replacing

CACHE_FORMAT = 2  # increase it when images are read in another way: older files are not used
MEMORY = 512 * 2**20  # bytes: largest size of the vectors held in memory

log = logging.getLogger(__name__)


class VectorCache:
    """Packed outputs (N, d) of one extractor for rows of one store.

    They are on disk for the next command, and in memory up to ``memory`` bytes, so that a training
    with a read-only store does not read the images again after every epoch. ``extractor``: its name
    and key.
    """

    def __init__(self, directory: Path, extractor: str, memory: int = MEMORY) -> None:
        self._directory, self._extractor, self._memory = directory, extractor, memory
        self._held: dict[Path, Tensor] = {}

    def path(self, rows: np.ndarray, mirrored: bool = False) -> Path:
        """The file for ``rows``, in this order."""
        identity = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:12]
        suffix = "-mirrored" if mirrored else ""
        return self._directory / f"{self._extractor}-{identity}-{CACHE_FORMAT}{suffix}.npy"

    def load(self, rows: np.ndarray, mirrored: bool = False) -> Tensor | None:
        """The vectors of ``rows``; ``None`` if they are not kept, or their file is damaged."""
        path = self.path(rows, mirrored)
        if path in self._held:
            return self._held[path]
        try:
            vectors = torch.from_numpy(np.load(path))
        except (OSError, ValueError, EOFError):
            return None
        return vectors if len(vectors) == len(rows) else None

    def keep(
        self, vectors: Tensor, rows: np.ndarray, mirrored: bool = False, write: bool = True
    ) -> None:
        """Keep the vectors of ``rows``: in memory and, with ``write``, on disk."""
        path = self.path(rows, mirrored)
        held = sum(other.nbytes for other in self._held.values())
        if held + vectors.nbytes <= self._memory:
            self._held[path] = vectors
        if not write:
            return
        try:
            with replacing(path, shared=True) as partial, partial.open("wb") as file:
                np.save(file, vectors.numpy())
        except OSError as error:  # a store of somebody else, or a full disk
            log.warning("The vectors of real images cannot be kept for the next time: %s", error)
