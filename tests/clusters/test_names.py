import numpy as np

from facegan.clusters.kmeans import Clustering
from facegan.clusters.names import cluster_names
from facegan.data.labels import Labels


def grouped(*sizes: int) -> Clustering:
    return Clustering(np.zeros((len(sizes), 1)), np.repeat(np.arange(len(sizes)), sizes), 0.0)


def test_names_say_what_sets_a_cluster_apart_in_the_order_of_the_labels():
    # columns: Smiling, Male, Eyeglasses
    kinds = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    clusters = grouped(10, 90, 100, 100)
    labels = Labels(kinds[clusters.assignments], ["Smiling", "Male", "Eyeglasses"])
    assert cluster_names(clusters, labels) == [
        "Smiling, not Male, Eyeglasses",
        "not Smiling, Male",  # nearly everyone is without eyeglasses
        "Smiling, Male",
        "not Smiling, not Male",
    ]


def test_what_some_images_of_a_cluster_have_and_few_others_is_named():
    clusters = grouped(20, 980)
    glasses = np.r_[np.tile([1, 0], 10), np.tile([1] + 19 * [0], 49)]
    names = cluster_names(clusters, Labels(glasses[:, None], ["Eyeglasses"]))
    assert names == ["some Eyeglasses", "mixed"]


def test_classes_are_named_alone_or_in_pairs():
    clusters = grouped(10, 10, 30)
    digit = np.r_[np.full(10, 7), np.tile([3, 5], 5), np.arange(30) % 10]
    names = cluster_names(clusters, Labels(digit[:, None], ["digit"]))
    assert names == ["digit 7", "digit 3 or 5", "mixed"]
    kind = Labels(np.repeat([0, 1], [10, 40])[:, None], ["class"], {"class": ["cats", "dogs"]})
    assert cluster_names(clusters, kind)[:2] == ["class cats", "class dogs"]


def test_of_many_labels_the_strongest_are_named():
    clusters = grouped(10, 90)
    values = np.zeros((100, 6), np.int64)
    for column in range(6):
        values[: 10 + 5 * column, column] = 1  # each is less typical than the one before
    names = cluster_names(clusters, Labels(values[:, ::-1], list("fedcba")))
    assert names[0] == "d, c, b, a"


def test_without_labels_or_images_there_is_no_name():
    assert cluster_names(grouped(5, 5), Labels(np.zeros((10, 0), np.int64), [])) == ["", ""]
    labels = Labels(np.r_[np.zeros(5), np.ones(5)].astype(int)[:, None], ["Male"])
    assert cluster_names(grouped(5, 0, 5), labels) == ["not Male", "", "Male"]
