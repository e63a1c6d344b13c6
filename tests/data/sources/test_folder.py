"""A folder of pictures: which files, which labels, which split."""

import os
from pathlib import Path

import numpy as np
import pytest

from facegan.data.sources.folder import Folder
from facegan.errors import InputError
from tests.data.fakes import jpeg, smooth_picture


def folder(root: Path, **keys: object) -> Folder:
    keys = {"data_dir": str(root.parent / "stores"), "image_size": 16, "batch_size": 1, **keys}
    return Folder(root=str(root), **keys)  # type: ignore[arg-type]


@pytest.fixture
def pictures(tmp_path) -> Path:
    root = tmp_path / "pictures"
    for i, name in enumerate(["dogs/a.jpg", "cats/b.JPEG", "cats/deep/c.Png", "dogs/d.webp"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth_picture(i, (30 + i, 40)).save(path)
    return root


def test_sub_folders_are_labels(pictures):
    store = folder(pictures).store
    assert store.names == ["cats/b.JPEG", "cats/deep/c.Png", "dogs/a.jpg", "dogs/d.webp"]
    assert store.labels.tolist() == [[0], [0], [1], [1]]
    assert store.label_names == ["class"]
    assert store.class_names == {"class": ["cats", "dogs"]}


def test_without_sub_folders_there_are_no_labels(pictures):
    store = folder(pictures / "dogs").store
    assert len(store) == 2
    assert store.labels.shape == (2, 0)
    assert store.label_names == []


def test_folders_called_after_splits_are_pointed_out(pictures, caplog):
    (pictures / "dogs").rename(pictures / "train")
    _ = folder(pictures).store
    assert "not for splits" not in caplog.text  # one of them may be a label
    (pictures / "cats").rename(pictures / "test")
    _ = folder(pictures).store
    assert "test, train are taken for labels, not for splits" in caplog.text


def test_animations_and_scans_are_pictures_too(tmp_path):
    root = tmp_path / "odd"
    root.mkdir()
    frames = [smooth_picture(i, (30, 40)) for i in range(3)]
    frames[0].save(root / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(root / "b.TIFF")
    store = folder(root).store
    assert store.names == ["a.gif", "b.TIFF"]
    first, scan = store.images.astype(int)
    assert np.abs(first - scan).mean() < 6  # a GIF has 256 colours; the other frames differ more


def test_only_pictures_that_are_meant(pictures):
    (pictures / "notes.txt").write_text("x")
    (pictures / "cats" / "._b.JPEG").write_text("of macOS")
    (pictures / ".thumbnails").mkdir()
    (pictures / ".thumbnails" / "a.jpg").write_bytes(jpeg(0))
    (pictures / "dogs" / "gone.jpg").symlink_to("nowhere.jpg")
    assert len(folder(pictures).store) == 4


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_links_are_followed_but_not_in_circles(pictures, tmp_path):
    (pictures / "cats" / "up").symlink_to(pictures, target_is_directory=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "e.jpg").write_bytes(jpeg(9, (30, 30)))
    (pictures / "linked").symlink_to(elsewhere, target_is_directory=True)
    store = folder(pictures).store
    assert len(store) == 5
    assert store.class_names == {"class": ["cats", "dogs", "linked"]}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_a_folder_that_a_link_leads_to_is_read_once_under_its_own_name(pictures):
    (pictures / "a").symlink_to(pictures / "cats", target_is_directory=True)
    store = folder(pictures).store
    assert store.names == ["cats/b.JPEG", "cats/deep/c.Png", "dogs/a.jpg", "dogs/d.webp"]


def test_the_split_is_stable_and_about_90_5_5(tmp_path):
    root = tmp_path / "many"
    root.mkdir()
    data = jpeg(0, (16, 16))
    for i in range(400):
        (root / f"{i}.jpg").write_bytes(data)
    before = folder(root).source()
    shares = np.bincount(before.splits, minlength=3) / 400
    assert np.abs(shares - [0.9, 0.05, 0.05]).max() < 0.04
    (root / "000-another.jpg").write_bytes(data)
    after = folder(root).source()
    assert after.splits[1:].tolist() == before.splits.tolist()


@pytest.mark.parametrize("n", range(1, 4))
def test_a_few_pictures_can_be_trained_on(tmp_path, n):
    root = tmp_path / "few"
    root.mkdir()
    for i in range(n):
        (root / f"{i + 20}.jpg").write_bytes(jpeg(i, (16, 16)))
    assert (folder(root).source().splits == 0).any()


def test_a_changed_picture_is_seen(pictures):
    before = folder(pictures).source().directory()
    path = pictures / "cats" / "b.JPEG"
    os.utime(path, ns=(0, 1))
    assert folder(pictures).source().directory() != before


def test_grey_pictures(pictures):
    assert folder(pictures, channels=1).store.images.shape == (4, 1, 16, 16)


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match=r"not a directory; set dataset\.root"):
        folder(tmp_path / "no").prepare_data()
    with pytest.raises(InputError, match="has no pictures"):
        folder(tmp_path).prepare_data()
