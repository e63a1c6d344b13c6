"""An index from sources to stores, so that a store can be opened when its source is gone.

``DATA_DIR/.index/`` has a small JSON file for each source and shape of its pictures: the store last
used for them, and a fingerprint of the source's files.
"""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from facegan.data.packing.source import STORE_FORMAT
from facegan.files import replacing


class Index:
    """The entry of ``content`` in the index of ``data_dir``.

    ``content``: see :meth:`ImageDataModule.content`; ``None``: there is no entry.

    Attributes:
        store: directory of the store last used for ``content``; ``None`` where there is none.
        fingerprint: of the source's files at that time; ``None``: not recorded.
    """

    def __init__(self, data_dir: str | Path, content: dict[str, Any] | None) -> None:
        self.data_dir = Path(data_dir).expanduser().resolve()
        self.content, self.path = content, None
        self.store: Path | None = None
        self.fingerprint: Any = None
        if content is None:
            return
        key = hashlib.sha256(
            json.dumps([STORE_FORMAT, content], sort_keys=True).encode()
        ).hexdigest()
        self.path = self.data_dir / ".index" / f"{key[:16]}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # record() replaces it
            entry = json.loads(self.path.read_text("utf-8"))
            store = self.data_dir / entry["store"]
            if store.is_dir():
                self.store, self.fingerprint = store, entry["fingerprint"]

    def record(self, store: Path, fingerprint: Any) -> None:
        """Record ``store``, unless the index cannot be written."""
        if self.path is None or (store, fingerprint) == (self.store, self.fingerprint):
            return
        entry = {"content": self.content, "store": store.name, "fingerprint": fingerprint}
        with contextlib.suppress(OSError), replacing(self.path, shared=True) as partial:
            partial.write_text(json.dumps(entry, indent=1), "utf-8")
