"""MNIST: read from any place, complete files only."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torchvision

from facegan.data.sources import mnist
from facegan.data.sources.mnist import MNIST
from facegan.errors import InputError

COUNTS = {"train": 20, "t10k": 6}


def idx(values: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def digits() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    files = {}
    for part, n in COUNTS.items():
        files[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        files[f"{part}-labels-idx1-ubyte"] = np.arange(n, dtype=np.uint8) % 10
    return files


def write(raw: Path, digits: dict[str, np.ndarray], packed: bool = True) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    for name, values in digits.items():
        data = idx(values)
        path = raw / (name + ".gz" * packed)
        path.write_bytes(gzip.compress(data) if packed else data)


def module(root: Path, **keys: object) -> MNIST:
    keys = {"data_dir": str(root / "stores"), "batch_size": 2, **keys}
    return MNIST(root=str(root), **keys)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(torchvision.datasets, "MNIST", refuse)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("where", ["MNIST/raw", "raw", "."])
def test_packed_or_not_in_each_place(tmp_path, digits, packed, where):
    write(tmp_path / where, digits, packed)
    store = module(tmp_path, image_size=28).store
    both = np.concatenate([digits["train-images-idx3-ubyte"], digits["t10k-images-idx3-ubyte"]])
    np.testing.assert_array_equal(store.images[:, 0], both)
    both = np.concatenate([digits["train-labels-idx1-ubyte"], digits["t10k-labels-idx1-ubyte"]])
    np.testing.assert_array_equal(store.labels[:, 0], both)
    assert store.label_names == ["digit"]


def test_the_split(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(mnist, "VAL", 5)
    write(tmp_path, digits)
    assert module(tmp_path).store.splits.tolist() == [0] * 15 + [1] * 5 + [2] * 6


def test_32_is_padded_and_64_is_that_resized(tmp_path, digits):
    write(tmp_path, digits)
    padded = module(tmp_path, image_size=32).store.images
    assert padded[:, :, 2:-2, 2:-2].max() > 0
    np.testing.assert_array_equal(padded[3, 0, 2:-2, 2:-2], digits["train-images-idx3-ubyte"][3])
    assert padded[:, :, :2].max() == padded[..., -2:].max() == 0

    smooth = np.fromfunction(lambda i, y, x: 4 * (x + y) + i, (20, 28, 28)).astype(np.uint8)
    write(tmp_path, {**digits, "train-images-idx3-ubyte": smooth})
    large = module(tmp_path, image_size=64).store.images[3, 0].astype(float)
    assert large.shape == (64, 64)
    halved = large.reshape(32, 2, 32, 2).mean((1, 3))[6:-6, 6:-6]
    assert np.abs(halved - smooth[3, 4:-4, 4:-4]).max() < 1.5


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_truncated_file_is_named(tmp_path, digits, packed, name):
    write(tmp_path, digits, packed)
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=f"{name}.* download it again"):
        module(tmp_path).prepare_data()


def test_files_that_do_not_belong_together(tmp_path, digits):
    write(tmp_path, {**digits, "train-labels-idx1-ubyte": digits["t10k-labels-idx1-ubyte"]})
    with pytest.raises(InputError, match="a digit for each of the 20 images"):
        module(tmp_path).prepare_data()


def test_a_file_that_is_not_idx_is_named(tmp_path, digits):
    write(tmp_path, digits, packed=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"<html>")
    with pytest.raises(InputError, match="not an idx file"):
        module(tmp_path).prepare_data()


def test_absent_and_no_network(tmp_path):
    with pytest.raises(InputError) as raised:
        module(tmp_path / "none").prepare_data()
    for part in (str(tmp_path / "none"), "Error downloading", "dataset.root"):
        assert part in str(raised.value)


def test_downloaded_when_absent(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(
        torchvision.datasets,
        "MNIST",
        lambda root, download: write(Path(root, "MNIST", "raw"), digits),
    )
    assert len(MNIST(data_dir=str(tmp_path)).store) == 26
    assert (tmp_path / "mnist" / "MNIST" / "raw").is_dir()


def test_unchanged_files_are_not_read_again_and_missing_ones_not_downloaded(
    tmp_path, digits, monkeypatch
):
    write(tmp_path, digits)
    path = module(tmp_path).store.path
    monkeypatch.setattr(MNIST, "source", lambda self: pytest.fail("the files were read"))
    assert module(tmp_path).store.path == path
    for file in tmp_path.glob("*ubyte.gz"):
        file.unlink()
    assert module(tmp_path).store.path == path


@pytest.mark.parametrize(
    "keys", [{"image_size": 48}, {"channels": 3}, {"flip": True}], ids=lambda keys: next(iter(keys))
)
def test_what_mnist_has_not(tmp_path, keys):
    with pytest.raises(InputError, match=f"dataset.{next(iter(keys))}"):
        module(tmp_path, **keys)


def test_stacks_are_digits_of_their_own_part_with_a_label_for_each_channel(
    tmp_path, digits, monkeypatch
):
    monkeypatch.setattr(mnist, "VAL", 5)
    write(tmp_path, digits)
    plain, data = module(tmp_path).store, module(tmp_path, stacked=True)
    store = data.store
    assert (data.channels, store.images.shape) == (3, (26, 3, 32, 32))
    assert store.label_names == ["digit_red", "digit_green", "digit_blue"]
    assert store.splits.tolist() == plain.splits.tolist()
    of_digit = {plain.images[row].tobytes(): row for row in range(26)}
    rows = np.array([[of_digit[channel.tobytes()] for channel in image] for image in store.images])
    np.testing.assert_array_equal(plain.labels[rows, 0], store.labels)
    np.testing.assert_array_equal(plain.splits[rows], store.splits[:, None].repeat(3, 1))
    for channel in rows.T:  # each digit is once in each channel, in an order of its own
        assert sorted(channel) == list(range(26))
    assert len({channel.tobytes() for channel in rows.T}) == 3
    names = [plain.names[row] for row in rows[7]]
    assert store.names[7] == "+".join(names)


def test_stacks_are_the_same_every_time_and_kept_apart_from_digits(tmp_path, digits):
    write(tmp_path, digits)
    first = module(tmp_path, stacked=True, seed=0)
    again = module(tmp_path, stacked=True, seed=1, data_dir=str(tmp_path / "other"))
    assert first.store.path.name == again.store.path.name
    assert first.store.path.name.startswith("stacked_mnist-32px-")
    np.testing.assert_array_equal(first.store.images, again.store.images)
    plain = first.unstacked()
    assert plain.store.path == module(tmp_path).store.path != first.store.path
    assert plain.unstacked() is None
    assert module(tmp_path, stacked=True).store.path == first.store.path


@pytest.mark.parametrize(("stacked", "channels", "expected"), [(True, 1, 3), (False, 3, 1)])
def test_channels_that_do_not_follow_from_stacked(tmp_path, stacked, channels, expected):
    with pytest.raises(InputError, match=f"dataset.channels must be {expected} with"):
        module(tmp_path, stacked=stacked, channels=channels)


def test_real_mnist(real_data, tmp_path):
    source = MNIST(root=str(real_data / "mnist")).source()
    assert np.bincount(source.splits).tolist() == [55_000, 5_000, 10_000]
    assert np.bincount(source.labels[:, 0]).min() > 6_000
