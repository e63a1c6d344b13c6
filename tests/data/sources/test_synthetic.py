"""Synthetic faces: the same whoever draws them and however many."""

import numpy as np

from facegan.data.sources.faces.people import ATTRIBUTES
from facegan.data.sources.faces.reader import FaceReader
from facegan.data.sources.synthetic import Synthetic


def synthetic(data_dir, **keys) -> Synthetic:
    return Synthetic(**{"data_dir": str(data_dir), "n": 250, "image_size": 16, **keys})


def test_labelled_pictures_in_three_splits(tmp_path):
    store = synthetic(tmp_path).store
    assert store.images.shape == (250, 3, 16, 16)
    assert store.images[:].std(axis=0).min() > 1  # no pixel is always the same
    assert store.label_names == list(ATTRIBUTES)
    assert set(np.unique(store.labels)) == {0, 1}
    assert [len(store.rows(split)) for split in ("train", "val", "test")] == [226, 12, 12]


def test_fewer_are_the_first_of_more(tmp_path):
    few, many = synthetic(tmp_path, n=130).store, synthetic(tmp_path).store
    np.testing.assert_array_equal(few.images, many.images[:130])
    np.testing.assert_array_equal(few.labels, many.labels[:130])
    np.testing.assert_array_equal(few.splits, many.splits[:130])


def test_the_pictures_show_the_labels(tmp_path):
    """The picture of a row is drawn from the attributes that are stored for it."""
    source = synthetic(tmp_path).source()
    reader = FaceReader(16, 0)
    drawn_from = np.concatenate([reader.attributes(chunk)[0] for chunk in range(3)])
    np.testing.assert_array_equal(source.labels, drawn_from[:250])
    hats = source.labels[:, ATTRIBUTES.index("Wearing_Hat")]
    assert 0 < hats.mean() < 0.5


def test_another_seed_draws_others_and_the_training_seed_does_not(tmp_path):
    first = synthetic(tmp_path).store
    assert synthetic(tmp_path, seed=7).store.path == first.path
    other = synthetic(tmp_path, draw_seed=1).store
    assert (other.images[0] != first.images[0]).any()


def test_stores_of_earlier_versions_are_found(tmp_path):
    """Also label networks and vectors lie in that directory: another name would orphan them."""
    assert synthetic(tmp_path).source().directory() == "synthetic-16px-43809d8fd3a0"


def test_the_version_of_the_drawing_is_part_of_the_key(tmp_path, monkeypatch):
    before = synthetic(tmp_path).source().directory()
    monkeypatch.setattr("facegan.data.sources.synthetic.VERSION", "another")
    assert synthetic(tmp_path).source().directory() != before
