"""The LightningDataModule: batches from a packed store, and the one place where they become float.

A source is a child that says where its pictures are (`source()`); everything else is here.
"""

import re
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, SequentialSampler

from facegan.data.packing.source import SPLITS, Source
from facegan.data.packing.store import Store, prepare
from facegan.errors import expect, expect_int, expect_number, expect_one_of
from facegan.pictures.scaling import _to_float
from facegan.seeds import mix_seed

# Lightning advises more workers. A batch here is one gather from memory-mapped rows: handing it
# over from another process takes longer than making it.
warnings.filterwarnings("ignore", ".*does not have many workers.*")


class Rows(Dataset):
    """Rows of a store as a dataset that fetches a whole batch at once."""

    def __init__(self, store: Store, rows: np.ndarray) -> None:
        self.images = np.asarray(store.images)  # the same memory map, without its slow subclass
        self.labels = store.labels
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.__getitems__([index])
        return images[0], labels[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) uint8 and labels (B, L), in the order of ``indices``."""
        rows = self.rows[indices]
        return torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows])


class _ResumedSampler(DistributedSampler):
    """Leaves out the first ``skip`` of its rows, once."""

    skip = 0

    def __iter__(self) -> Iterator[int]:
        skip, self.skip = self.skip, 0
        return islice(super().__iter__(), skip, None)


def _as_it_is(batch: Any) -> Any:
    return batch


class ImageDataModule(pl.LightningDataModule):
    """Batches of ``(images, labels)``: uint8 up to the device, there float in [-1, 1].

    Args:
        name: of the dataset; also how its store's directory begins.
        data_dir: where stores are kept.
        image_size: side of the (square) images in pixels.
        channels: 3 for colour, 1 for grey.
        batch_size: images per batch on each device.
        global_batch_size: instead, images per batch on all devices together.
        flip: mirror half of the training images left to right.
        limit: train on only the first so many training images; ``None``: on all.
        max_bad_fraction: share of unreadable pictures that may be left out.
        seed: of the order of the training images.

    Raises:
        InputError: for a value that cannot be used.
    """

    CHANNELS: tuple[int, ...] = (3, 1)  # what the source can give
    name: str  # Lightning's may be None

    def __init__(
        self,
        name: str,
        data_dir: str = "data",
        image_size: int = 64,
        channels: int = 3,
        batch_size: int = 64,
        global_batch_size: int | None = None,
        flip: bool = False,
        limit: int | None = None,
        max_bad_fraction: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        expect(
            isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name) is not None,
            f"dataset.name must be letters, digits, '.', '_' and '-', not {name!r}.",
        )
        expect(
            isinstance(data_dir, str) and data_dir != "",
            f"data_dir must name a directory, not {data_dir!r}.",
        )
        expect_int("dataset.image_size", image_size, 8)
        expect(image_size <= 1024, f"dataset.image_size must be at most 1024, not {image_size}.")
        expect_one_of("dataset.channels", channels, self.CHANNELS)
        expect_int("dataset.batch_size", batch_size, 1)
        expect(isinstance(flip, bool), f"dataset.flip must be true or false, not {flip!r}.")
        if limit is not None:
            expect_int("dataset.limit", limit, 1)
        expect_number("dataset.max_bad_fraction", max_bad_fraction, 0, 1)
        expect_int("seed", seed, 0)
        self.name, self.data_dir = name, data_dir
        self.image_size, self.channels = image_size, channels
        if global_batch_size is not None:
            expect_int("dataset.global_batch_size", global_batch_size, 1)
        self.batch_size, self.flip, self.limit = batch_size, flip, limit
        self._resumed_global_batch_size: int | None = None
        self.global_batch_size = global_batch_size
        self.max_bad_fraction, self.seed = max_bad_fraction, seed
        self._store: Store | None = None

    @abstractmethod
    def source(self) -> Source:
        """Find the source and list its pictures; raises InputError where there are none."""

    def expect_root(self, root: str | None, default: str) -> Path:
        """``dataset.root`` as a path; ``None``: the folder ``default`` in ``data_dir``."""
        expect(root is None or isinstance(root, str), f"dataset.root must be a path, not {root!r}.")
        return Path(root or Path(self.data_dir, default)).expanduser()

    # ------------------------------------------------------------------ preparing

    def prepare_data(self) -> None:
        """Make the store if it is not there (Lightning: in one process per machine)."""
        if self._store is None:
            self._store = prepare(self.source(), self.data_dir, self.max_bad_fraction)

    def setup(self, stage: str | None = None) -> None:
        if self._store is None:
            self.prepare_data()  # finds the store made by the first process

    @property
    def store(self) -> Store:
        """The packed store, prepared on first use."""
        self.setup()
        assert self._store is not None
        return self._store

    @property
    def label_names(self) -> list[str]:
        """What the columns of the labels mean; empty for pictures without labels."""
        return self.store.label_names

    # ------------------------------------------------------------------ loading

    def train_rows(self) -> np.ndarray:
        """The rows of the store that are trained on."""
        return self.store.rows("train")[: self.limit]

    def batch_size_on(self, world: int) -> int:
        """Images per training batch on each of ``world`` devices."""
        together = self.global_batch_size
        if together is None:
            return self.batch_size
        expect(
            together % world == 0,
            f"dataset.global_batch_size={together} cannot be shared evenly by {world} devices: use "
            f"{-(-together // world) * world}.",
        )
        return together // world

    def check(self, world: int) -> None:
        """Raise InputError if there is not one whole training batch for each of ``world``."""
        rows = self.train_rows()
        batch_size = self.batch_size_on(world)
        expect(len(rows) > 0, f"{self.name} has no training images: all of it is val and test.")
        share = len(rows) // world
        key, most = "batch_size", max(share, 1)
        if self.global_batch_size is not None:
            key, most = "global_batch_size", most * world
        expect(
            share >= batch_size,
            f"dataset.batch_size={batch_size} is more than the {share} training images that "
            f"{self.name} has{' for each device' if world > 1 else ''}; "
            f"use dataset.{key}={most} or less"
            + (f", or a larger dataset.limit than {self.limit}." if self.limit else "."),
        )

    def train_dataloader(self) -> DataLoader:
        """Whole batches only, in an order that follows from the seed and the epoch."""
        rows = self.train_rows()
        world = self.trainer.world_size if self.trainer else 1
        self.check(world)
        batch_size = self.batch_size_on(world)
        # Lightning keeps a DistributedSampler as it is and tells it the epoch, resumed or not.
        sampler = _ResumedSampler(
            range(len(rows)),  # type: ignore[arg-type]  # only its length is asked for
            num_replicas=world,
            rank=self.trainer.global_rank if self.trainer else 0,
            shuffle=True,
            seed=mix_seed(self.seed),  # it adds the epoch, and seed 1 is not seed 0 an epoch later
            drop_last=True,
        )
        if self.trainer:  # on resuming it asks for the first batch before it tells the epoch
            sampler.set_epoch(self.trainer.current_epoch)
            seen, before = self._batches_already_seen(), self._resumed_global_batch_size
            expect(
                seen == 0 or before in (None, batch_size * world),
                f"The checkpoint is from amid an epoch in batches of {before} images, which cannot "
                f"be finished in batches of {batch_size * world}: set "
                f"dataset.global_batch_size={before}, or go on from the end of an epoch.",
            )
            sampler.skip = seen * batch_size
        return self._loader(rows, sampler, batch_size, drop_last=True)

    def state_dict(self) -> dict[str, Any]:
        """The global batch size, without which nobody can go on amid an epoch."""
        world = self.trainer.world_size if self.trainer else 1
        return {"global_batch_size": self.batch_size_on(world) * world}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._resumed_global_batch_size = state_dict.get("global_batch_size")

    def val_dataloader(self) -> DataLoader:
        """All of val, for those who validate; a GAN does not."""
        rows = self.store.rows("val")
        return self._loader(rows, SequentialSampler(rows), self.batch_size)

    def _batches_already_seen(self) -> int:
        """Batches of this epoch that were trained on before the checkpoint that is resumed."""
        fit: Any = self.trainer.fit_loop  # type: ignore[union-attr]
        epochs = fit.epoch_progress.current
        amid = epochs.ready > epochs.processed
        return fit.epoch_loop.batch_progress.current.processed if amid else 0

    def _loader(
        self, rows: np.ndarray, sampler: object, batch_size: int, drop_last: bool = False
    ) -> DataLoader:
        device = self.trainer.strategy.root_device.type if self.trainer else "cpu"
        return DataLoader(
            Rows(self.store, rows),
            batch_size=batch_size,
            sampler=sampler,  # type: ignore[arg-type]
            drop_last=drop_last,
            collate_fn=_as_it_is,
            pin_memory=device == "cuda",
            generator=torch.Generator(),  # else each pass over it moves the global random state
        )

    def subset(self, split: str, n: int | None = None, seed: int = 0) -> np.ndarray:
        """``n`` rows of the store (``None``: all) of a split, or of ``all`` of them, shuffled."""
        expect_one_of("split", split, (*SPLITS, "all"))
        if split == "all":
            rows = np.arange(len(self.store))
        else:
            rows = self.train_rows() if split == "train" else self.store.rows(split)
        expect(len(rows) > 0, f"{self.name} has no images in its {split} part.")
        return np.random.default_rng(seed).permutation(rows)[:n]

    def images(self, rows: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
        """Images of the store, to evaluate on: float in [-1, 1] (len(rows), C, H, W)."""
        return _to_float(self.raw_images(rows).to(device))

    def raw_images(self, rows: np.ndarray) -> Tensor:
        """Images of the store, to show: uint8 (len(rows), C, H, W)."""
        return torch.from_numpy(np.asarray(self.store.images)[rows])

    # ------------------------------------------------------------------ on the device

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, Tensor], dataloader_idx: int = 0
    ) -> tuple[Tensor, Tensor]:
        """uint8 becomes float in [-1, 1], channels_last; while training, half is mirrored."""
        images, labels = batch
        if self.flip and self.trainer is not None and self.trainer.training:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
            images = torch.where(mirrored, images.flip(3), images)  # while it is a byte per value
        return _to_float(images), labels
