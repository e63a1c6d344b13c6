"""Parquet files of Hugging Face: the same store as from CelebA's zip."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from facegan.data.sources.celeba import CelebA
from facegan.data.sources.folder import Folder
from facegan.data.sources.parquet import SPLIT, parquet_files
from facegan.errors import InputError
from tests.data.fakes import ATTRIBUTES, FakeCelebA

FILES = ("train-00000-of-00002", "valid-00000-of-00001", "test-00000-of-00001")


def celeba(root: Path, **keys: object) -> CelebA:
    return CelebA(root=str(root), data_dir=str(root / "stores"), image_size=28, **keys)


def write(root: Path, fake: FakeCelebA, paths: bool = True, rows: int = 3) -> Path:
    """``fake`` as flwrlabs/celeba has it: a file per split, boolean attributes, celeb_id."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    root.mkdir(parents=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for split, file in enumerate(FILES):
        names = [name for name in fake.pictures if fake.splits[name] == split]
        images = [{"bytes": fake.pictures[n], "path": n if paths else None} for n in names]
        columns = {"image": pa.array(images, kind)}
        columns["celeb_id"] = pa.array([fake.people[name] for name in names], pa.int64())
        for i, attribute in enumerate(ATTRIBUTES):
            columns[attribute] = pa.array([bool(fake.labels[name][i]) for name in names])
        parquet.write_table(pa.table(columns), root / f"{file}.parquet", row_group_size=rows)
    return root


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_parquet_and_zip_give_the_same_store_byte_for_byte(tmp_path, fake_celeba, rows):
    zipped = celeba(fake_celeba.write(tmp_path / "zip")).store
    other = celeba(write(tmp_path / "parquet", fake_celeba, rows=rows)).store
    assert other.path.name == zipped.path.name
    for file in ("images", "labels", "splits", "identities"):
        one, two = ((store.path / f"{file}.npy").read_bytes() for store in (zipped, other))
        assert one == two, file
    assert other.names == zipped.names
    assert other.label_names == zipped.label_names


def test_more_pictures_than_a_batch_and_workers(tmp_path):
    fake = FakeCelebA(list(range(1, 41)))
    fake.pictures = {f"{n:06d}.jpg": fake.pictures[f"{n % 40 + 1:06d}.jpg"] for n in range(1, 601)}
    fake.labels = {name: [n % 2] * len(ATTRIBUTES) for n, name in enumerate(fake.pictures)}
    fake.splits = {name: n % 3 for n, name in enumerate(fake.pictures)}
    fake.people = {name: n for n, name in enumerate(fake.pictures)}
    zipped = celeba(fake.write(tmp_path / "zip")).store
    other = celeba(write(tmp_path / "parquet", fake, rows=150)).store
    np.testing.assert_array_equal(other.images, zipped.images)


def test_pictures_without_a_path_are_numbered_in_the_official_order(tmp_path, fake_celeba):
    store = celeba(write(tmp_path / "parquet", fake_celeba, paths=False)).store
    assert store.names == [f"{number:06d}.jpg" for number in range(1, 13)]
    assert store.splits.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_a_file_cut_short_is_named(tmp_path, fake_celeba):
    root = write(tmp_path / "parquet", fake_celeba)
    path = root / f"{FILES[1]}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"valid-.* is not a complete parquet file .*fetch"):
        celeba(root).prepare_data()


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'facegan\[parquet\]'"):
        celeba(tmp_path).prepare_data()


def test_files_are_ordered_by_split(tmp_path):
    for name in ("a/test/0000.parquet", "a/train/0001.parquet", "a/train/0000.parquet",
                 "a/valid/0000.parquet", ".hidden/train.parquet"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path / "a").as_posix() for path in parquet_files(tmp_path)]
    assert found == [
        "train/0000.parquet", "train/0001.parquet", "valid/0000.parquet", "test/0000.parquet"
    ]  # fmt: skip
    assert not SPLIT.search("latest-00000.parquet")


def test_a_folder_of_parquet_files_has_classes_and_splits(tmp_path, fake_celeba):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": d, "path": None} for d in fake_celeba.pictures.values()], kind)
    labels = pa.array([n % 2 for n in range(12)])
    features = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": images, "label": labels}).replace_schema_metadata(about)
    root = tmp_path / "pictures"
    root.mkdir()
    parquet.write_table(table.slice(0, 8), root / "train-00000-of-00001.parquet")
    parquet.write_table(table.slice(8), root / "test-00000-of-00001.parquet")
    keys = {"root": str(root), "data_dir": str(tmp_path), "image_size": 16}
    store = Folder(**keys).store
    assert store.class_names == {"label": ["cat", "dog"]}
    assert store.labels[:, 0].tolist() == [n % 2 for n in range(12)]
    assert store.splits.tolist() == [0] * 8 + [2] * 4
    assert Folder(**keys, labels=False).store.label_names == []


def test_unchanged_parquet_files_are_not_read_again(tmp_path, fake_celeba, monkeypatch):
    root = write(tmp_path / "parquet", fake_celeba)
    store = celeba(root).store
    monkeypatch.setattr(CelebA, "source", lambda self: pytest.fail("read again"))
    assert celeba(root).store.path == store.path
