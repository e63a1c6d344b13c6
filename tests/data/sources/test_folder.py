"""A folder of pictures: which files, which labels, which split."""

import os
import shutil
import sys
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegan.data.packing import store as packing
from facegan.data.sources.folder import Folder, _notes
from facegan.data.sources.listing import OF_SYSTEMS
from facegan.errors import InputError
from tests.data.fakes import encoded, jpeg, smooth_picture

DOT = encoded(smooth_picture(0, (16, 16)), "PNG")


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
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    assert folder(pictures).source().directory() != before


def test_a_copy_elsewhere_has_the_same_store(pictures, tmp_path, monkeypatch):
    (pictures / "large.bmp").write_bytes(encoded(smooth_picture(1, (200, 200)), "BMP"))
    store = folder(pictures).store
    copied = shutil.copytree(pictures, tmp_path / "a copy", copy_function=shutil.copyfile)
    for number, path in enumerate(copied.rglob("*.*")):
        os.utime(path, (number, number))
    monkeypatch.setattr(packing, "_build", lambda *args: pytest.fail("packed anew"))
    assert folder(copied).store.path == store.path


def test_pictures_that_were_not_touched_are_not_opened_again(pictures, monkeypatch):
    store = folder(pictures).store
    monkeypatch.setattr(Folder, "source", lambda self: pytest.fail("read again"))
    assert folder(pictures).store.path == store.path


def test_names_composed_and_decomposed_are_the_same(tmp_path):
    composed, decomposed = "caf\u00e9/\u00fc", "cafe\u0301/u\u0308"
    assert unicodedata.normalize("NFC", decomposed) == composed
    sources = []
    for place, name in (("linux", composed), ("mac", decomposed)):
        for number in range(5):
            path = tmp_path / place / f"{name}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            smooth_picture(number, (20, 20)).save(path)
        sources.append(folder(tmp_path / place).source())
    one, other = sources
    assert one.directory() == other.directory()
    assert one.splits.tolist() == other.splits.tolist()
    assert other.class_names == {"class": ["caf\u00e9"]}
    assert folder(tmp_path / "mac").store.images.any(axis=(1, 2, 3)).all()


def test_two_names_that_would_become_the_same_are_both_kept(tmp_path):
    for name in ("\u00fc.png", "u\u0308.png"):
        smooth_picture(len(name), (20, 20)).save(tmp_path / name)
    assert len(set(folder(tmp_path).source().names)) == 2


def test_folders_can_be_no_labels(pictures, caplog):
    (pictures / "dogs").rename(pictures / "00000")
    (pictures / "cats").rename(pictures / "01000")
    assert folder(pictures).store.label_names == ["class"]
    assert "00000, 01000 are taken for labels" in caplog.text
    assert "set dataset.labels=false" in caplog.text
    caplog.clear()
    store = folder(pictures, labels=False).store
    assert store.label_names == []
    assert store.labels.shape == (4, 0)
    assert "labels" not in caplog.text
    shutil.rmtree(pictures)
    assert folder(pictures, labels=False).store.label_names == []  # without its pictures, too
    assert folder(pictures).store.label_names == ["class"]


@pytest.mark.parametrize(
    ("names", "are_parts"),
    [
        (["0", "1"], True),
        (["shard_3", "shard-12"], True),
        (["0a", "ff", "c3"], True),
        (["part1", "part2", "."], True),
        (["face", "dead"], False),
        (["2023", "cats"], False),
        (["cats", "dogs"], False),
        (["."], False),
    ],
)
def test_folders_that_look_like_parts_of_one_data_set_are_pointed_out(names, are_parts):
    assert any("dataset.labels=false" in note for note in _notes(names)) == are_parts


def test_grey_pictures(pictures):
    assert folder(pictures, channels=1).store.images.shape == (4, 1, 16, 16)


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match=r"not a directory; set dataset\.root"):
        folder(tmp_path / "no").prepare_data()
    with pytest.raises(InputError, match="has no pictures"):
        folder(tmp_path).prepare_data()


ANY_NAME = st.binary(min_size=1, max_size=40).filter(
    lambda name: b"/" not in name and b"\0" not in name and not name.startswith(b".")
)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse some names")
@settings(deadline=None, max_examples=25)
@given(st.sets(ANY_NAME, min_size=2, max_size=4))
def test_any_bytes_can_be_the_name_of_a_class(names):
    with TemporaryDirectory() as place:
        root = os.fsencode(place) + b"/pictures"
        for name in names:
            Path(os.fsdecode(root + b"/" + name)).mkdir(parents=True)
            for path in (b"a.png", b"\xff\xe9.png"):
                Path(os.fsdecode(root + b"/" + name + b"/" + path)).write_bytes(DOT)
        store = folder(Path(os.fsdecode(root))).store
        taken = [name for name in names if not OF_SYSTEMS.fullmatch(os.fsdecode(name).lower())]
        assert len(store) == 2 * len(taken)
        classes = store.class_names["class"]
        assert len(set(classes)) == len(taken)
        for name in classes:
            assert name.isprintable()
            name.encode("utf-8")
        assert [os.fsencode(name).split(b"/")[0] in names for name in store.names]
