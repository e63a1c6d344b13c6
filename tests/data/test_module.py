"""Loading: whole batches in a reproducible order; one place where bytes become float."""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DistributedSampler

from facegan.data.module import ImageDataModule
from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from tests.data.stand_ins import source


class Counted(ImageDataModule):
    """Grey 8 x 8 pictures; row i is filled with i and labelled i; every third is train."""

    def source(self):
        return source(60)


def counted(tmp_path, **keys) -> Counted:
    keys = {"image_size": 8, "channels": 1, "batch_size": 4, **keys}
    return Counted(name="counted", data_dir=str(tmp_path), **keys)


def rows(loader) -> list[int]:
    return [int(row) for _, labels in loader for row in labels[:, 0]]


def test_batches(tmp_path):
    for images, labels in counted(tmp_path).train_dataloader():
        assert images.dtype == torch.uint8
        assert images.shape == (4, 1, 8, 8)
        assert (images == labels[:, :, None, None]).all()


def test_training_sees_train_rows_in_whole_batches(tmp_path):
    seen = rows(counted(tmp_path, batch_size=3).train_dataloader())
    assert len(seen) == len(set(seen)) == 18  # of 20: the last two are no batch
    assert all(row % 3 == 0 for row in seen)


def test_the_order_follows_from_seed_and_epoch(tmp_path):
    orders = {}
    for seed, epoch in [(0, 0), (0, 1), (1, 0), (0, 0)]:
        loader = counted(tmp_path, seed=seed).train_dataloader()
        assert isinstance(loader.sampler, DistributedSampler)
        loader.sampler.set_epoch(epoch)
        order = rows(loader)
        assert orders.setdefault((seed, epoch), order) == order
    assert len({tuple(order) for order in orders.values()}) == 3


def test_validation_sees_all_in_a_fixed_order(tmp_path):
    assert rows(counted(tmp_path, batch_size=7).val_dataloader()) == list(range(1, 60, 3))


def test_a_subset_is_of_its_split(tmp_path):
    data = counted(tmp_path)
    for first, split in enumerate(["train", "val", "test"]):
        assert sorted(data.subset(split)) == list(range(first, 60, 3))
    assert sorted(data.subset("all")) == list(range(60))
    assert len(data.subset("all", 7)) == 7


def test_limit_keeps_the_first_training_images_only(tmp_path):
    data = counted(tmp_path, limit=8)
    assert sorted(rows(data.train_dataloader())) == list(range(0, 24, 3))
    assert len(data.subset("train")) == 8
    assert len(data.subset("val")) == 20


def test_what_cannot_be_trained_on_is_refused_without_a_trainer(tmp_path):
    counted(tmp_path, batch_size=10).check(world=2)
    with pytest.raises(InputError, match=r"batch_size=20 is more than the 10 .* each device"):
        counted(tmp_path, batch_size=20).check(world=2)
    with pytest.raises(InputError, match=r"use dataset\.global_batch_size=20 or less"):
        counted(tmp_path, global_batch_size=40).check(world=2)
    with pytest.raises(InputError, match="cannot be shared evenly by 4 devices: use 12"):
        counted(tmp_path, global_batch_size=10).check(world=4)


def test_fewer_images_than_a_batch(tmp_path):
    with pytest.raises(InputError, match=r"use dataset\.batch_size=20 or less"):
        counted(tmp_path, batch_size=21).train_dataloader()
    with pytest.raises(InputError, match=r"a larger dataset\.limit than 3"):
        counted(tmp_path, limit=3).train_dataloader()


def test_bytes_become_float_from_minus_one_to_one(tmp_path):
    images = torch.arange(256, dtype=torch.uint8).reshape(2, 2, 8, 8)
    labels = torch.zeros(2, 1)
    floats, same = counted(tmp_path).on_after_batch_transfer((images, labels))
    assert floats.dtype == torch.float32
    assert floats.is_contiguous(memory_format=torch.channels_last)
    assert (floats.min(), floats.max()) == (-1, 1)
    assert (floats.diff(dim=3) > 0).all()
    assert ((floats + 1) * 127.5).round().to(torch.uint8).equal(images)
    assert same is labels


class Recorder(pl.LightningModule):
    """Keeps its batches; learns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.trained, self.epochs = [], []

    def training_step(self, batch, batch_idx):
        self.trained.append(batch)
        self.epochs.append(self.current_epoch)

    def configure_optimizers(self):
        return []


@pytest.fixture
def trainer(tmp_path):
    def build(**keys) -> pl.Trainer:
        return pl.Trainer(
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            **keys,
        )

    return build


def test_lightning_reshuffles_every_epoch(tmp_path, trainer):
    model = Recorder()
    trainer(max_epochs=2).fit(model, datamodule=counted(tmp_path))
    orders = [
        [int(v) for (_, labels), e in zip(model.trained, model.epochs, strict=True) if e == epoch
         for v in labels[:, 0]]
        for epoch in (0, 1)
    ]  # fmt: skip
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(0, 60, 3))
    assert orders[0] != orders[1]


@pytest.mark.filterwarnings("ignore:You requested to overfit but enabled train dataloader")
def test_overfit_batches_repeats_its_batches(tmp_path, trainer):
    model = Recorder()
    trainer(max_epochs=2, overfit_batches=1).fit(model, datamodule=counted(tmp_path))
    first, second = (labels for _, labels in model.trained)
    assert first.equal(second)


def test_flips_half_of_the_images_and_only_in_training(tmp_path, trainer):
    data = Synthetic(data_dir=str(tmp_path), n=80, image_size=16, batch_size=72)
    model = Recorder()
    trainer(max_epochs=1).fit(model, datamodule=data)
    images, _ = model.trained[0]
    stored, _ = data.on_after_batch_transfer(
        (data.raw_images(data.train_rows()[:72]), torch.empty(0))
    )

    def among(image, others) -> bool:
        return bool((others == image).flatten(1).all(1).any())

    as_stored = sum(among(image, stored) for image in images)
    mirrored = sum(among(image.flip(2), stored) for image in images)
    assert as_stored + mirrored == 72
    assert 20 < mirrored < 52


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "a/b"),
        ("data_dir", ""),
        ("image_size", 7),
        ("image_size", 2000),
        ("image_size", "64"),
        ("channels", 2),
        ("batch_size", 0),
        ("batch_size", True),
        ("flip", "yes"),
        ("limit", 0),
        ("max_bad_fraction", 1.5),
        ("seed", -1),
    ],
)
def test_a_wrong_value_names_its_key(key, value):
    with pytest.raises(InputError, match=f"{key} "):
        Counted(**{"name": "x", key: value})


def test_a_global_batch_that_cannot_be_shared_evenly(tmp_path):
    data = counted(tmp_path, global_batch_size=10)
    assert data.batch_size_on(2) == 5
    with pytest.raises(InputError, match="cannot be shared evenly by 4 devices: use 12"):
        data.batch_size_on(4)
