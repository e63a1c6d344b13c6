"""Which images are clustered and which ones probes are fitted to."""

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from facegan.clusters.selection import select
from facegan.clusters.settings import ClusterSettings
from facegan.errors import InputError


class Data:
    """Stands in for a data module: ``labels`` (N, L) in shuffled parts of given sizes."""

    name = "planted"

    def __init__(self, labels: np.ndarray, train: int, val: int, **classes: list[str]) -> None:
        numbers = np.arange(len(labels))
        self.parts = dict(
            zip(("train", "val", "test"), np.split(numbers, [train, train + val]), strict=True)
        )
        names = [*"abcdefgh"][: labels.shape[1]]
        self.store = SimpleNamespace(
            labels=labels, label_names=names, class_names=classes, rows=self.parts.__getitem__
        )

    def subset(self, split: str, n: int | None = None, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).permutation(self.parts[split])[:n]


def chosen(data: Any, **values: Any) -> Any:
    return select(data, ClusterSettings(**{"attributes": ["a", "b"], **values}))


def planted(train: int = 60, val: int = 30, test: int = 10) -> Data:
    rng = np.random.default_rng(0)
    return Data(rng.integers(0, 2, (train + val + test, 2)), train, val)


@pytest.mark.parametrize("split", [None, "train", "val", "test"])
@pytest.mark.parametrize("n", [None, 8, 20, 90])
@pytest.mark.parametrize("val", [0, 30])
def test_no_clustered_image_is_one_that_probes_are_fitted_to(split: Any, n: Any, val: int):
    if split == "val" and not val:
        return
    data = planted(val=val)
    found = chosen(data, split=split, n=n)
    assert not set(found.rows) & set(found.fitted)
    assert set(found.fitted) <= set(data.parts["train"])
    assert set(found.rows) <= set(data.parts[found.split])
    assert found.split == (split or ("val" if val else "train"))
    assert len(found.rows)
    assert len(found.fitted)
    if n is not None:
        assert len(found.rows) + len(found.fitted) <= n
    assert len(found.labels.values) == len(found.rows)
    assert f"none of the {len(found.fitted)} that the probes were fitted to" in found.description()


def test_other_spaces_cluster_the_training_images_and_fit_nothing():
    found = chosen(planted(), space="features", n=50)
    assert found.split == "train"
    assert (len(found.rows), len(found.fitted)) == (50, 0)
    assert found.description() == "50 train images"


def test_there_is_a_cluster_for_each_frequent_combination():
    # 10 of 2,000 images are frequent, 9 are not.
    labels = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [1000, 981, 10, 9], axis=0)
    data = Data(labels, 2000, 0)
    assert chosen(data, space="attributes", n=None).k == 3
    assert chosen(data, space="attributes", n=None, attributes=["a"]).k == 2
    assert chosen(data, space="attributes", n=None, k=7).k == 7
    assert chosen(data, space="features", attributes=None).k == 10


def test_classes_need_a_cluster_each_and_many_attributes_twenty():
    digits = np.arange(500)[:, None] % 13
    assert chosen(Data(digits, 400, 100), attributes=["a"]).k == 13
    many = np.random.default_rng(0).integers(0, 2, (3000, 8))
    data = Data(np.concatenate([many, many[:, ::-1]]), 5000, 1000)
    assert chosen(data, attributes=list("abcdefgh")).k == 20


def test_an_attribute_that_all_labelled_images_share_is_left_out_of_the_probes_with_a_warning(
    caplog: pytest.LogCaptureFixture,
):
    data = planted()
    data.store.labels[data.parts["train"], 1] = 0
    with caplog.at_level(logging.WARNING):
        found = chosen(data, n=None)
    assert found.fitted_labels.names == ["a"]
    assert found.fitted_labels.values.shape == (60, 1)
    assert found.labels.names == ["a", "b"]
    assert "All 60 labelled images have the same b: no probe" in caplog.text
    with pytest.raises(InputError, match=r"have the same b: choose other clustering.attributes"):
        chosen(data, attributes=["b"])


def test_images_without_labels_cannot_be_probed():
    data = Data(np.zeros((20, 0), np.int64), 15, 5)
    with pytest.raises(InputError, match=r"clustering.space=probe needs labels, and planted has"):
        chosen(data, space="probe", attributes=None)
    with pytest.raises(InputError, match="names attributes, but these data have no labels"):
        chosen(data)
    assert chosen(data, attributes=None).split == "train"
