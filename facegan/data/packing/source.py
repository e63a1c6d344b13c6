"""A source: the pictures that a store is made from, with their labels and splits."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facegan.data.packing.parallel import RowReader

STORE_FORMAT = 1  # part of the key: increase it when the same source gives other bytes
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Source:
    """Pictures to prepare; every sequence and array has one entry per picture.

    Attributes:
        reader: writes the pixels of given rows.
        settings: what else determines the pixels (crop, file sizes …), as JSON values.
        origin: where the pictures are, for messages; not part of the store's name.
        notes: warnings about the source; not part of the store's name either.
    """

    name: str
    size: int
    channels: int
    reader: RowReader
    names: Sequence[str]
    labels: np.ndarray  # (N, L) integers
    splits: np.ndarray  # (N,) index into SPLITS
    label_names: Sequence[str] = ()
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    identities: np.ndarray | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    notes: Sequence[str] = ()
    chunk: int | None = None  # rows to read at a time; None: as many as fit into a block
    in_process: bool = False  # reading takes less time than starting workers

    def __post_init__(self) -> None:
        n = len(self.names)
        assert self.labels.shape == (n, len(self.label_names))
        assert self.splits.shape == (n,)
        assert self.identities is None or self.identities.shape == (n,)

    def directory(self) -> str:
        """Name of the store's directory: a hash of the content, not of where it is stored."""
        digest = hashlib.sha256()
        identities = None if self.identities is None else self.identities.astype("<i8").tobytes()
        facts = [STORE_FORMAT, self.channels, self.label_names, self.class_names, self.settings]
        digest.update(json.dumps([*facts, identities is None], sort_keys=True).encode())
        digest.update("\0".join(self.names).encode("utf-8", "surrogateescape"))
        digest.update(self.labels.astype("<i4").tobytes())
        digest.update(self.splits.astype("u1").tobytes())
        digest.update(identities or b"")
        return f"{self.name}-{self.size}px-{digest.hexdigest()[:12]}"
