"""The LightningDataModule: batches from a packed store, converted to float on the device.

A data set is a subclass whose ``source()`` finds the pictures; everything else is here.
"""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, SequentialSampler

from facegan.data.packing.index import Index
from facegan.data.packing.source import SPLITS, Source
from facegan.data.packing.store import Store, open_store, prepare
from facegan.data.settings import DataSettings
from facegan.errors import InputError
from facegan.lightning_internals import batches_done_in_epoch
from facegan.pictures.scaling import to_float
from facegan.seeds import mix_seed

log = logging.getLogger(__name__)


class Rows(Dataset):
    """Rows of a store as a dataset that fetches a whole batch at once."""

    def __init__(self, store: Store, rows: np.ndarray, clusters: np.ndarray | None = None) -> None:
        self.images = np.asarray(store.images)  # the same memory map, without its slow subclass
        self.labels, self.clusters = store.labels, clusters
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.__getitems__([index])
        return images[0], labels[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) uint8 and labels (B, L), in the order of ``indices``."""
        rows = self.rows[indices]
        labels = self.labels[rows]
        if self.clusters is not None:
            labels = np.column_stack([labels, self.clusters[rows]])
        return torch.from_numpy(self.images[rows]), torch.from_numpy(labels)


class _ResumedSampler(DistributedSampler):
    """Skips the first ``skip`` rows of its first epoch."""

    skip = 0

    def __iter__(self) -> Iterator[int]:
        skip, self.skip = self.skip, 0
        return islice(super().__iter__(), skip, None)


def _identity(batch: Any) -> Any:
    return batch


class ImageDataModule(pl.LightningDataModule):
    """Batches of ``(images, labels)``: uint8 until they are on the device, then float in [-1, 1].

    The arguments are the fields of ``settings_class`` (:mod:`facegan.data.settings`); raises
    InputError for a value that cannot be used.

    Attributes:
        clusters: a cluster's number for each row of the store (N,), which batches bring as one
            more label; it may change during training. ``None``: no such label.
    """

    clusters: np.ndarray | None = None
    settings_class: ClassVar[type[DataSettings]] = DataSettings
    directory: ClassVar[str] = ""  # in data_dir, used if dataset.root is null; "": no files
    shaped_by: ClassVar[Sequence[str]] = ("image_size", "channels", "crop")  # fields
    settings: Any  # an instance of settings_class
    name: str  # Lightning's may be None

    def __init__(self, **values: Any) -> None:
        super().__init__()
        settings = self.settings = self.settings_class(**values)
        self.name, self.data_dir = settings.name, settings.data_dir
        self.image_size, self.channels = settings.image_size, settings.channels
        self.flip, self.limit, self.seed = settings.flip, settings.limit, settings.seed
        self._resumed_global_batch_size: int | None = None
        self._store: Store | None = None

    @abstractmethod
    def source(self) -> Source:
        """Find the pictures and list them; raises InputError where there are none."""

    def content(self) -> dict[str, Any] | None:
        """The settings that choose the source and shape its pixels, as JSON values.

        They find the store again when its source is gone. ``None``: the source cannot go away.
        """
        if not self.directory:
            return None
        shape = {name: getattr(self.settings, name) for name in self.shaped_by}
        return {self.directory: str(self.root.resolve()), "name": self.name, **shape}

    def is_found(self) -> bool:
        """Whether the source is still there, without listing it."""
        return True

    def fingerprint(self) -> list[Any] | None:
        """Cheap facts about the source's files that change when the source does, as JSON values.

        ``None``: only listing the source shows whether it has changed.
        """
        return None

    def unstacked(self) -> "ImageDataModule | None":
        """The data whose grey images are the channels of these; ``None``: there are no such."""
        return None

    @property
    def root(self) -> Path:
        """``dataset.root``; where it is null, ``directory`` in ``data_dir``."""
        return Path(self.settings.root or Path(self.data_dir, self.directory)).expanduser()

    def prepare_data(self) -> None:
        """Open the store, or make it if there is none (called once per machine).

        A source whose fingerprint has not changed is not listed again. When a source was moved or
        deleted, the store made from it is used, with a warning.
        """
        if self._store is not None:
            return
        index = Index(self.data_dir, self.content())
        fingerprint = self.fingerprint()  # before listing: a later change is seen next time
        unchanged = index.fingerprint is not None and index.fingerprint == fingerprint
        if index.store is not None and (unchanged or not self.is_found()):
            if not unchanged:
                log.warning(
                    "%s: its pictures are no longer where they were; using the store made from "
                    "them.",
                    self.name,
                )
            self._store = open_store(index.store, self.settings.max_bad_fraction)
        else:
            self._store = prepare(self.source(), self.data_dir, self.settings.max_bad_fraction)
            index.record(self._store.path, fingerprint)

    def setup(self, stage: str | None = None) -> None:
        self.prepare_data()  # on other ranks: opens the store that the first one made

    @property
    def store(self) -> Store:
        """The packed store, prepared on first use."""
        self.setup()
        assert self._store is not None
        return self._store

    @property
    def label_names(self) -> list[str]:
        """Names of the label columns; empty for pictures without labels."""
        return self.store.label_names

    def train_rows(self) -> np.ndarray:
        """The training rows of the store, up to ``limit``."""
        return self.store.rows("train")[: self.limit]

    def batch_size_on(self, world: int) -> int:
        """Images per training batch on each of ``world`` devices."""
        together = self.settings.global_batch_size
        if together is None:
            return self.settings.batch_size
        if together % world:
            raise InputError(
                f"dataset.global_batch_size={together} cannot be shared evenly by {world} devices: "
                f"use {-(-together // world) * world}."
            )
        return together // world

    def check(self, world: int) -> None:
        """Raise InputError if ``world`` devices cannot train on these data.

        :meth:`train_dataloader` would raise the same, but only after Lightning has written files.
        """
        rows, batch_size = self.train_rows(), self.batch_size_on(world)
        if not len(rows):
            raise InputError(f"{self.name} has no training images: all of it is val and test.")
        share = len(rows) // world
        if share >= batch_size:
            return
        key, most = "batch_size", max(share, 1)
        if self.settings.global_batch_size is not None:
            key, most = "global_batch_size", most * world
        raise InputError(
            f"dataset.batch_size={batch_size} is more than the {share} training images that "
            f"{self.name} has{' for each device' if world > 1 else ''}; "
            f"use dataset.{key}={most} or less"
            + (f", or a larger dataset.limit than {self.limit}." if self.limit else ".")
        )

    def train_dataloader(self) -> DataLoader:
        """Whole batches only, in an order determined by the seed and the epoch."""
        world = self.trainer.world_size if self.trainer else 1
        self.check(world)
        rows, batch_size = self.train_rows(), self.batch_size_on(world)
        # Lightning keeps a DistributedSampler as it is and sets its epoch, resumed or not.
        sampler = _ResumedSampler(
            range(len(rows)),  # type: ignore[arg-type]  # only its length is asked for
            num_replicas=world,
            rank=self.trainer.global_rank if self.trainer else 0,
            shuffle=True,
            # The sampler seeds with seed + epoch: hashing keeps (1, 0) from equalling (0, 1).
            seed=mix_seed(self.seed),
            drop_last=True,
        )
        if self.trainer:
            # A resumed run asks for its first batch before Lightning sets the epoch.
            sampler.set_epoch(self.trainer.current_epoch)
            done, before = batches_done_in_epoch(self.trainer), self._resumed_global_batch_size
            if done and before not in (None, batch_size * world):
                raise InputError(
                    f"The checkpoint was taken mid-epoch with batches of {before} images; that "
                    f"epoch cannot be finished with batches of {batch_size * world}: set "
                    f"dataset.global_batch_size={before}, or resume from the end of an epoch."
                )
            sampler.skip = done * batch_size
        return self._loader(rows, sampler, batch_size, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """All validation rows, for models that validate; a GAN does not."""
        rows = self.store.rows("val")
        return self._loader(rows, SequentialSampler(rows), self.settings.batch_size)

    def _loader(
        self, rows: np.ndarray, sampler: object, batch_size: int, drop_last: bool = False
    ) -> DataLoader:
        device = self.trainer.strategy.root_device.type if self.trainer else "cpu"
        # No workers: a batch is one gather from memory-mapped rows, which takes less time than
        # passing it on from another process.
        return DataLoader(
            Rows(self.store, rows, self.clusters),
            batch_size=batch_size,
            sampler=sampler,  # type: ignore[arg-type]
            drop_last=drop_last,
            collate_fn=_identity,
            pin_memory=device == "cuda",
            generator=torch.Generator(),  # otherwise each pass advances the global random state
        )

    def state_dict(self) -> dict[str, Any]:
        """The global batch size, which an interrupted epoch has to be finished with."""
        world = self.trainer.world_size if self.trainer else 1
        return {"global_batch_size": self.batch_size_on(world) * world}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._resumed_global_batch_size = state_dict.get("global_batch_size")

    def subset(self, split: str, n: int | None = None, seed: int = 0) -> np.ndarray:
        """``n`` rows of the store (``None``: all), shuffled.

        ``split``: ``train`` (up to ``limit``), ``val``, ``test``, or ``all`` of them. Raises
        InputError for another split, or one without images.
        """
        if split not in (*SPLITS, "all"):
            raise InputError(f"split must be one of {', '.join(SPLITS)}, all, not {split!r}.")
        if split == "all":
            rows = np.arange(len(self.store))
        else:
            rows = self.train_rows() if split == "train" else self.store.rows(split)
        if not len(rows):
            raise InputError(f"{self.name} has no images in its {split} part.")
        return np.random.default_rng(seed).permutation(rows)[:n]

    def images(self, rows: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
        """Images of the store, to evaluate on: float in [-1, 1] (len(rows), C, H, W)."""
        return to_float(self.raw_images(rows).to(device))

    def raw_images(self, rows: np.ndarray) -> Tensor:
        """Images of the store, to show: uint8 (len(rows), C, H, W)."""
        return torch.from_numpy(np.asarray(self.store.images)[rows])

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, Tensor], dataloader_idx: int = 0
    ) -> tuple[Tensor, Tensor]:
        """uint8 to float in [-1, 1], channels_last; in training half of the images are mirrored."""
        images, labels = batch
        if self.flip and self.trainer is not None and self.trainer.training:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
            images = torch.where(
                mirrored, images.flip(3), images
            )  # as bytes: a quarter of the memory
        return to_float(images), labels
