import numpy as np
import pytest

from facegan.data.labels import MOST_CLASSES, Labels, choose_labels
from facegan.errors import InputError


def test_names_are_chosen_or_refused_with_the_valid_ones():
    values = np.arange(6).reshape(2, 3) % 2
    names = ["Bald", "Smiling", "Young"]
    chosen = choose_labels("key", ["Young", "Bald"], names, values, {})
    assert chosen.names == ["Young", "Bald"]
    assert np.array_equal(chosen.values, values[:, [2, 0]])
    assert [name for name, _ in chosen.columns()] == ["Young", "Bald", "combination"]
    with pytest.raises(InputError, match=r"key: .* no Smiley; they have: Bald, Smiling, Young"):
        choose_labels("key", ["Smiley"], names, values, {})
    for wrong in ("Bald", []):
        with pytest.raises(InputError, match=r"key (must be a list|is empty)"):
            choose_labels("key", wrong, names, values, {})
    with pytest.raises(InputError, match="no labels"):
        choose_labels("key", ["Bald"], [], values[:, :0], {})


def test_the_combination_tells_apart_what_single_labels_do_not():
    values = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    columns = dict(Labels(values, ["a", "b"], combined=True).columns())
    assert len(np.unique(columns["combination"])) == 4


def test_classes_become_columns_and_attributes_stay_one():
    values = np.array([[0, 1], [2, 0], [2, 1]])
    names, columns = Labels(values, ["class", "Bald"], {"class": ["cat", "dog", "owl"]}).binary()
    assert names == ["class=cat", "class=owl", "Bald"]
    assert columns.astype(int).tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 1]]


def test_of_thousands_of_classes_the_most_frequent_have_columns():
    values = np.concatenate([np.arange(3000), np.full(5, 2999), np.full(4, 1234)])[:, None]
    classes = [f"person {number}" for number in range(3000)]
    names, columns = Labels(values, ["class"], {"class": classes}).binary()
    assert len(names) == columns.shape[1] == MOST_CLASSES
    counts = dict(zip(names, columns.sum(0), strict=True))
    assert counts["class=person 2999"] == 6
    assert counts["class=person 1234"] == 5
