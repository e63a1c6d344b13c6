"""What a dataset hands over to be prepared: its pictures, and what is known about them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facegan.data.packing.parallel import Reader

FORMAT = 1  # part of the key: raise it when the same source is to give other bytes
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Source:
    """What there is to prepare: one entry per picture in everything that is a sequence.

    ``settings`` holds what else determines the pixels (crop, file sizes …) as JSON values.
    ``origin`` and ``notes`` are for people, and not part of the key.
    """

    name: str
    size: int
    channels: int
    reader: Reader
    names: Sequence[str]
    labels: np.ndarray  # (N, L) integers
    splits: np.ndarray  # (N,) index into SPLITS
    label_names: Sequence[str] = ()
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    identities: np.ndarray | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    notes: Sequence[str] = ()
    chunk: int | None = None  # rows to be read at a time; None: whatever fits in memory
    in_process: bool = False  # reading is too quick for workers to be worth it

    def __post_init__(self) -> None:
        n = len(self.names)
        assert self.labels.shape == (n, len(self.label_names))
        assert self.splits.shape == (n,)
        assert self.identities is None or self.identities.shape == (n,)

    def directory(self) -> str:
        """The store's name: the same for the same content, wherever and however it lies."""
        digest = hashlib.sha256()
        identities = None if self.identities is None else self.identities.astype("<i8").tobytes()
        facts = [FORMAT, self.channels, self.label_names, self.class_names, self.settings]
        digest.update(json.dumps([*facts, identities is None], sort_keys=True).encode())
        digest.update("\0".join(self.names).encode("utf-8", "surrogateescape"))
        digest.update(self.labels.astype("<i4").tobytes())
        digest.update(self.splits.astype("u1").tobytes())
        digest.update(identities or b"")
        return f"{self.name}-{self.size}px-{digest.hexdigest()[:12]}"
