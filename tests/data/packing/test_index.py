"""The index: a store is opened without its source, which is read again only when it changed."""

import logging
import shutil
import sys

import pytest

from facegan.data.packing.index import Index
from facegan.data.sources.celeba import CelebA
from facegan.data.sources.folder import Folder
from facegan.errors import InputError
from tests.data.fakes import FakeCelebA, smooth_picture


def celeba(tmp_path, **keys) -> CelebA:
    keys = {"data_dir": str(tmp_path / "stores"), "image_size": 28, **keys}
    return CelebA(root=str(tmp_path / "celeba"), **keys)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pictures"
    root.mkdir()
    for i in range(3):
        smooth_picture(i, (30, 30)).save(root / f"{i}.png")
    return lambda **keys: Folder(
        root=str(root), data_dir=str(tmp_path / "stores"), **{"image_size": 16, **keys}
    )


@pytest.fixture
def unlisted(monkeypatch):
    """From now on a source that is listed fails the test."""

    def start() -> None:
        monkeypatch.setattr(CelebA, "source", lambda self: pytest.fail("the source was listed"))

    return start


@pytest.mark.parametrize("layout", ["zip", "torchvision"])
def test_a_store_serves_when_its_pictures_are_gone(tmp_path, fake_celeba, layout, caplog):
    fake_celeba.write(tmp_path / "celeba", layout)
    store = celeba(tmp_path).store
    shutil.rmtree(tmp_path / "celeba")
    with caplog.at_level(logging.WARNING):
        assert celeba(tmp_path).store.path == store.path
    assert caplog.text.count("no longer where they were") == 1
    with pytest.raises(InputError, match="CelebA was not found"):
        _ = celeba(tmp_path, crop=108).store  # other pixels were never prepared


def test_nothing_is_fetched_while_there_is_a_store(tmp_path, fake_celeba, monkeypatch):
    fake_celeba.write(tmp_path / "celeba")
    store = celeba(tmp_path).store
    shutil.rmtree(tmp_path / "celeba")
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # an import would fail
    assert celeba(tmp_path, download="kaggle").store.path == store.path


def test_an_unchanged_zip_is_not_listed_again(tmp_path, fake_celeba, unlisted):
    fake_celeba.write(tmp_path / "celeba")
    store = celeba(tmp_path).store
    unlisted()
    assert celeba(tmp_path).store.path == store.path


@pytest.mark.parametrize("change", ["zip", "labels", "table removed"])
def test_a_changed_source_gives_another_store(tmp_path, fake_celeba, change):
    root = fake_celeba.write(tmp_path / "celeba")
    before = celeba(tmp_path).store
    if change == "zip":
        FakeCelebA(list(range(1, 14))).write(root)
    elif change == "labels":
        fake_celeba.labels["000001.jpg"] = [1 - v for v in fake_celeba.labels["000001.jpg"]]
        fake_celeba.write(root)
    else:
        (root / "identity_CelebA.txt").unlink()
    assert celeba(tmp_path).store.path != before.path


def test_a_folder_is_always_listed_while_it_is_there(folder, tmp_path):
    before = folder().store
    smooth_picture(9, (30, 30)).save(tmp_path / "pictures" / "1.png")
    changed = folder().store
    assert changed.path != before.path
    shutil.rmtree(tmp_path / "pictures")
    assert folder().store.path == changed.path  # the latest
    with pytest.raises(InputError, match="not a directory"):
        _ = folder(image_size=32).store


def test_a_deleted_store_is_made_again(tmp_path, fake_celeba):
    fake_celeba.write(tmp_path / "celeba")
    shutil.rmtree(celeba(tmp_path).store.path)
    assert len(celeba(tmp_path).store) == 12


def test_a_damaged_entry_is_made_again(tmp_path, fake_celeba, unlisted):
    fake_celeba.write(tmp_path / "celeba")
    _ = celeba(tmp_path).store
    (entry,) = (tmp_path / "stores" / ".index").iterdir()
    entry.write_text("{")
    _ = celeba(tmp_path).store
    unlisted()
    assert len(celeba(tmp_path).store) == 12


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path):
    (tmp_path / ".index").write_text("not a directory")
    Index(tmp_path, {"folder": "a"}).record(tmp_path / "store", None)
    assert Index(tmp_path, {"folder": "a"}).store is None
