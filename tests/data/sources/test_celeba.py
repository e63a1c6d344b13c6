"""CelebA: the same rows from every layout, and nothing misaligned whatever is missing."""

import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegan.data.sources.celeba import CelebA
from facegan.errors import InputError
from tests.data.fakes import ATTRIBUTES, FakeCelebA


def celeba(root: Path, **keys: object) -> CelebA:
    keys = {"data_dir": str(root / "stores"), "image_size": 28, "batch_size": 2, **keys}
    return CelebA(root=str(root), **keys)  # type: ignore[arg-type]


def assert_same_rows(one: CelebA, other: CelebA) -> None:
    for part in ("images", "labels", "splits", "names", "label_names"):
        np.testing.assert_array_equal(getattr(one.store, part), getattr(other.store, part))


@pytest.mark.parametrize("layout", ["torchvision", "kaggle", "kaggle01"])
def test_every_layout_gives_the_same_store(tmp_path, fake_celeba, layout):
    zipped = celeba(fake_celeba.write(tmp_path / "zip", "zip"))
    other = celeba(fake_celeba.write(tmp_path / layout, layout))
    assert_same_rows(zipped, other)
    if layout != "kaggle01":  # which is without identities
        np.testing.assert_array_equal(zipped.store.identities, other.store.identities)
        assert (
            zipped.store.path.name == other.store.path.name
        )  # the key does not depend on the layout


def test_rows_are_what_the_files_say(tmp_path, fake_celeba):
    store = celeba(fake_celeba.write(tmp_path)).store
    assert store.images.shape == (12, 3, 28, 28)
    assert store.label_names == ATTRIBUTES
    assert store.names == sorted(fake_celeba.pictures)
    np.testing.assert_array_equal(store.labels, list(fake_celeba.labels.values()))
    np.testing.assert_array_equal(store.splits, list(fake_celeba.splits.values()))
    np.testing.assert_array_equal(store.identities, list(fake_celeba.people.values()))


def test_the_crop_is_the_centre(tmp_path, fake_celeba):
    fake_celeba.write(tmp_path, "torchvision")
    path = tmp_path / "img_align_celeba" / "000003.jpg"
    with Image.open(path) as image:
        cropped = image.crop((35, 55, 143, 163)).resize((28, 28), Image.Resampling.BICUBIC)
    store = celeba(tmp_path, crop=108).store
    difference = store.images[2].transpose(1, 2, 0) - np.asarray(cropped, np.float32)
    assert np.abs(difference).mean() < 2
    assert store.path != celeba(tmp_path, crop=178).store.path


@pytest.mark.parametrize(
    "place", ["celeba", "img_align_celeba", "kaggle outer", "kaggle inner", "authors"]
)
def test_where_root_may_point(tmp_path, fake_celeba, place):
    if place == "celeba":  # root/celeba, as torchvision's root is meant
        fake_celeba.write(tmp_path / "celeba", "torchvision")
        root = tmp_path
    elif place == "img_align_celeba":  # the folder of pictures itself
        fake_celeba.write(tmp_path, "torchvision")
        root = tmp_path / "img_align_celeba"
    elif place.startswith("kaggle"):
        fake_celeba.write(tmp_path, "kaggle")
        outer = tmp_path / "img_align_celeba"
        root = outer if place == "kaggle outer" else outer / outer.name
    else:  # Img/, Anno/ and Eval/, as the authors have it
        fake_celeba.write(tmp_path, "zip")
        for folder, file in (
            ("Img", "img_align_celeba.zip"),
            ("Anno", "list_attr_celeba.txt"),
            ("Anno", "identity_CelebA.txt"),
            ("Eval", "list_eval_partition.txt"),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / file).rename(tmp_path / folder / file)
        root = tmp_path
    store = celeba(root).store
    np.testing.assert_array_equal(store.labels, list(fake_celeba.labels.values()))
    assert store.identities is not None


def upper(root: Path) -> None:
    """Rename everything below ``root`` to capitals."""
    for path in sorted(root.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.upper()))


@pytest.mark.parametrize("layout", ["zip", "torchvision", "kaggle"])
@pytest.mark.parametrize("below", ["", "CelebA", "celebA-dataset"])
def test_capitals_and_another_folder_do_not_matter(tmp_path, fake_celeba, layout, below):
    expected = celeba(fake_celeba.write(tmp_path / "expected")).store
    fake_celeba.write(tmp_path / "root" / below, layout)
    upper(tmp_path / "root")
    store = celeba(tmp_path / "root").store
    np.testing.assert_array_equal(store.images, expected.images)
    np.testing.assert_array_equal(store.labels, expected.labels)
    np.testing.assert_array_equal(store.splits, expected.splits)
    assert store.identities is not None


def test_the_authors_tree_below_root(tmp_path, fake_celeba):
    fake_celeba.write(tmp_path, "zip")
    for folder, file in (
        ("IMG", "img_align_celeba.zip"),
        ("Anno", "list_attr_celeba.txt"),
        ("ANNO", "identity_CelebA.txt"),
        ("eval", "list_eval_partition.txt"),
    ):
        (tmp_path / "CelebA" / folder).mkdir(exist_ok=True, parents=True)
        (tmp_path / file).rename(tmp_path / "CelebA" / folder / file)
    store = celeba(tmp_path).store
    np.testing.assert_array_equal(store.labels, list(fake_celeba.labels.values()))
    assert store.identities is not None


def test_pictures_in_root_itself(tmp_path, fake_celeba):
    root = fake_celeba.write(tmp_path / "faces", "torchvision")
    for path in (root / "img_align_celeba").iterdir():
        path.rename(root / path.name)
    (root / "img_align_celeba").rmdir()
    store = celeba(root).store
    assert len(store) == 12
    np.testing.assert_array_equal(store.labels, list(fake_celeba.labels.values()))


@pytest.mark.parametrize("name", ["archive.zip", "Archive (1).zip", "celeba-dataset.zip"])
def test_kaggles_archive_is_read_without_unpacking_it(tmp_path, fake_celeba, name):
    unpacked = fake_celeba.write(tmp_path / "unpacked", "kaggle")
    (tmp_path / "packed").mkdir()
    with zipfile.ZipFile(tmp_path / "packed" / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(unpacked.rglob("*.*")):
            archive.write(path, path.relative_to(unpacked))
    packed = celeba(tmp_path / "packed")
    assert_same_rows(celeba(unpacked), packed)
    assert packed.is_found()
    np.testing.assert_array_equal(packed.store.labels, list(fake_celeba.labels.values()))


def test_an_archive_of_something_else_is_not_taken_for_celeba(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("holiday/beach.jpg", b"")
    with pytest.raises(InputError, match=r"not found.*archive\.zip"):
        celeba(tmp_path).prepare_data()


def test_the_png_edition(tmp_path, fake_celeba):
    root = fake_celeba.write(tmp_path, "torchvision")
    folder = (root / "img_align_celeba").rename(root / "img_align_celeba_png")
    for path in list(folder.iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".png"))
        path.unlink()
    store = celeba(root).store
    assert store.names[0] == "000001.png"
    np.testing.assert_array_equal(store.labels, list(fake_celeba.labels.values()))
    np.testing.assert_array_equal(store.splits, list(fake_celeba.splits.values()))


@pytest.mark.parametrize(
    "name",
    ["list_attr_celeba (1).csv", "LIST_ATTR_CELEBA.CSV", "list_attr_celeba.csv.csv",
     "Copy of list_attr_celeba.csv", "list_attr_celeba - Copy.csv", "list_attr_celeba_2.csv"],
)  # fmt: skip
def test_copies_of_the_annotations_are_found(tmp_path, fake_celeba, name, caplog):
    root = fake_celeba.write(tmp_path, "kaggle")
    (root / "list_attr_celeba.csv").rename(root / name)
    assert celeba(root).store.label_names == ATTRIBUTES
    assert "no labels" not in caplog.text


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["img_align_celeba_png.7z.001"], r"has img_align_celeba_png\.7z\.001; unpack"),
        (["CelebA.tar"], "unpack CelebA.tar"),
        (["img_celeba/000001.txt"], "uncropped photographs"),
        (["notes.txt"], r"has notes\.txt"),
        ([], "is empty"),
    ],
)
def test_missing_says_what_is_there_instead(tmp_path, names, sentence):
    (tmp_path / "root").mkdir()
    for name in names:
        path = tmp_path / "root" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    with pytest.raises(InputError, match=sentence):
        CelebA(root=str(tmp_path / "root"), data_dir=str(tmp_path)).prepare_data()


def test_root_is_in_data_dir_by_default(tmp_path, fake_celeba):
    fake_celeba.write(tmp_path / "celeba")
    assert len(CelebA(data_dir=str(tmp_path)).store) == 12


def test_pictures_without_a_row_and_rows_without_a_picture(tmp_path, fake_celeba, caplog):
    for name in ("000002.jpg", "000009.jpg"):
        del fake_celeba.labels[name]
    del fake_celeba.splits["000004.jpg"]
    del fake_celeba.people["000005.jpg"]
    fake_celeba.labels["000077.jpg"] = [1] * len(ATTRIBUTES)
    store = celeba(fake_celeba.write(tmp_path)).store

    assert store.names == [n for n in fake_celeba.pictures if n not in ("000002.jpg", "000009.jpg")]
    expected = [fake_celeba.labels[name] for name in store.names]
    np.testing.assert_array_equal(store.labels, expected)
    by_number = [fake_celeba.splits.get(name, 0) for name in store.names]
    np.testing.assert_array_equal(store.splits, by_number)
    people = [fake_celeba.people.get(name, -1) for name in store.names]
    np.testing.assert_array_equal(store.identities, people)
    assert "2 pictures (000002.jpg, 000009.jpg), which are left out" in caplog.text
    assert "1 rows of list_attr_celeba.txt" in caplog.text
    assert len(store.meta["notes"]) >= 4


def test_without_annotation_files(tmp_path, caplog):
    fake = FakeCelebA([1, 162770, 162771, 182637, 182638, 202599])
    fake.write(tmp_path)
    for path in tmp_path.glob("*.txt"):
        path.unlink()
    store = celeba(tmp_path).store
    assert store.labels.shape == (6, 0)
    assert store.label_names == []
    assert store.identities is None
    assert store.splits.tolist() == [0, 0, 1, 1, 2, 2]  # the official split, from the numbers
    assert "so no labels" in caplog.text


def test_bad_pictures_are_skipped_and_the_rest_stays_aligned(tmp_path, fake_celeba):
    pictures = fake_celeba.pictures
    pictures["000001.jpg"] = pictures["000001.jpg"][:900]
    pictures["000006.jpg"] = b""
    pictures["000011.jpg"] = b"<html>quota exceeded</html>"
    store = celeba(fake_celeba.write(tmp_path), max_bad_fraction=0.3).store
    assert [p["name"] for p in store.meta["skipped"]] == ["000001.jpg", "000006.jpg", "000011.jpg"]
    np.testing.assert_array_equal(store.labels, [fake_celeba.labels[n] for n in store.names])
    whole = FakeCelebA([2])
    alone = celeba(whole.write(tmp_path / "alone")).store
    np.testing.assert_array_equal(store.images[store.names.index("000002.jpg")], alone.images[0])


def test_damage_inside_the_zip_is_seen(tmp_path, fake_celeba):
    fake_celeba.write(tmp_path)
    path = tmp_path / "img_align_celeba.zip"
    data = path.read_bytes()
    place = data.index(fake_celeba.pictures["000003.jpg"]) + 2000  # is stored, not deflated
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(InputError, match=r"000003\.jpg .*damaged in the zip"):
        celeba(tmp_path).prepare_data()


def test_missing_says_what_was_looked_for_and_where(tmp_path):
    with pytest.raises(InputError) as raised:
        celeba(tmp_path / "nowhere").prepare_data()
    for part in ("nowhere", "img_align_celeba.zip", "dataset.root", "dataset.download=kaggle"):
        assert part in str(raised.value)


def test_half_a_zip(tmp_path, fake_celeba):
    path = fake_celeba.write(tmp_path) / "img_align_celeba.zip"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match="cut short"):
        celeba(tmp_path).prepare_data()
    fake_celeba.write(tmp_path, "torchvision")  # unpacked beside it, that does not matter
    assert len(celeba(tmp_path).store) == 12


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("list_attr_celeba.txt", "12\nBald Young\n000001.jpg -1 1\n000002.jpg -1\n"),
        ("list_attr_celeba.txt", "12\nBald\n000001.jpg -1 1\n"),
        ("list_attr_celeba.txt", "<html></html>\n"),
        ("list_attr_celeba.txt", "Bald\nother.jpg 1\n"),
        ("list_attr_celeba.txt", ""),
        ("list_eval_partition.txt", "000001.jpg 3\n"),
        ("identity_CelebA.txt", "000001.jpg somebody\n"),
    ],
)
def test_a_broken_annotation_file_is_named(tmp_path, fake_celeba, file, text):
    (fake_celeba.write(tmp_path) / file).write_text(text)
    with pytest.raises(InputError, match=f"{file} .*fetch .*again"):
        celeba(tmp_path).prepare_data()


def test_download_only_when_asked_to(tmp_path, fake_celeba, monkeypatch):
    fetched = fake_celeba.write(tmp_path / "cache", "kaggle01")
    hub = types.SimpleNamespace(dataset_download=lambda handle: str(fetched))
    monkeypatch.setitem(sys.modules, "kagglehub", hub)
    empty = {"root": str(tmp_path / "empty"), "data_dir": str(tmp_path)}
    with pytest.raises(InputError, match="was not found"):
        CelebA(**empty).prepare_data()
    assert len(CelebA(download="kaggle", **empty).store) == 12


def test_kagglehub_missing_or_failing(tmp_path, monkeypatch):
    module = celeba(tmp_path, download="kaggle")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(InputError, match="pip install"):
        module.prepare_data()

    def offline(handle: str) -> str:
        raise ConnectionError("no network")

    hub = types.SimpleNamespace(dataset_download=offline)
    monkeypatch.setitem(sys.modules, "kagglehub", hub)
    with pytest.raises(InputError, match=r"no network.* in a browser"):
        module.prepare_data()


def test_real_celeba(real_data, tmp_path):
    source = CelebA(root=str(real_data / "celeba")).source()
    assert len(source.names) == 24_000
    assert source.labels.shape == (24_000, 40)
    assert np.bincount(source.splits).tolist() == [20_000, 2_000, 2_000]
    assert source.identities is not None
    assert len(np.unique(source.identities)) == 4_800
    assert source.notes == []
    smiling = source.labels[:, list(source.label_names).index("Smiling")]
    assert 0.4 < smiling.mean() < 0.6
    faces = np.zeros((8, 3, 64, 64), np.uint8)
    assert source.reader.fill(faces, 11_000) == {}
    assert faces.std(axis=(1, 2, 3)).min() > 10
