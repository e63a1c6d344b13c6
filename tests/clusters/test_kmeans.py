import numpy as np
import pytest
from scipy.stats import fisher_exact
from sklearn.datasets import make_blobs

from facegan.clusters import kmeans
from facegan.clusters.kmeans import Clustering
from facegan.clusters.map import embed
from facegan.clusters.scores import (
    SIGNIFICANT,
    associations,
    coverage,
    most_typical,
    purity,
    scores,
)
from facegan.clusters.settings import ClusterSettings
from facegan.data.labels import Labels, choose_labels
from facegan.errors import InputError


def blobs(n: int = 300, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    points, truth = make_blobs(n, 6, centers=k, cluster_std=0.3, random_state=seed)
    return points.astype(np.float32), truth


def labels(values: np.ndarray, *names: str, combined: bool = False) -> Labels:
    values = values.reshape(len(values), -1)
    return Labels(values, names or ["blob"], combined=combined)


# ---------------------------------------------------------------------- k-means


def test_planted_blobs_are_found():
    points, truth = blobs()
    found = kmeans.k_means(points, 4)
    values = scores(points, found, labels(truth))
    assert values["nmi/blob"] == values["ari/blob"] == values["purity/blob"] == pytest.approx(1)
    assert values["silhouette"] > 0.8
    assert sum(values[f"share/{i}"] for i in range(4)) == pytest.approx(1)
    assert np.array_equal(found.assign(points), found.assignments)


def test_many_points_are_clustered_in_mini_batches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kmeans, "MINI_BATCH_FROM", 100)
    points, truth = blobs()
    found = kmeans.k_means(points, 4)
    assert scores(points, found, labels(truth))["nmi/blob"] == pytest.approx(1)


@pytest.mark.parametrize("previous", [None, np.zeros(6, np.int64)])
def test_more_clusters_than_distinct_points(previous: np.ndarray | None):
    points = np.repeat(np.eye(3), 2, axis=0)
    found = kmeans.k_means(points, 10, previous)
    assert found.k == 3
    assert sorted(found.sizes) == [2, 2, 2]


@pytest.mark.parametrize("previous", [None, np.array([5, 5, 5, 5])])
def test_identical_points_are_one_cluster(previous: np.ndarray | None):
    found = kmeans.k_means(np.ones((4, 3)), 8, previous)
    assert found.k == 1
    values = scores(np.ones((4, 3)), found, labels(np.arange(4) % 2))
    assert values["nmi/blob"] == 0
    assert np.isnan(values["silhouette"])


def test_one_point_is_one_cluster():
    assert kmeans.k_means(np.ones((1, 2)), 3).k == 1


def test_warm_start_keeps_the_numbers_although_the_space_has_turned():
    points, _ = blobs()
    first = kmeans.k_means(points, 4)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    second = kmeans.k_means(5 * points @ turn, 4, first.assignments)
    assert np.array_equal(first.assignments, second.assignments)
    assert scores(points, second, previous=first.assignments)["stability"] == 1


def test_clusters_that_have_become_empty_start_anew():
    points, truth = blobs()
    previous = np.where(truth == 3, 0, truth)  # nobody is left in cluster 3
    found = kmeans.k_means(points, 4, previous)
    assert scores(points, found, labels(truth))["nmi/blob"] == pytest.approx(1)


def test_alignment_undoes_a_permutation_of_the_numbers():
    points, truth = blobs()
    renumbered = np.array([2, 0, 3, 1])[truth]
    centroids = np.stack([points[renumbered == i].mean(0) for i in range(4)])
    aligned = kmeans.align(Clustering(centroids, renumbered, 0.0), truth)
    assert np.array_equal(aligned.assignments, truth)
    assert np.allclose(aligned.centroids[1], points[truth == 1].mean(0), atol=1e-5)


def test_non_finite_points_are_refused():
    with pytest.raises(InputError, match="non-finite"):
        kmeans.k_means(np.array([[np.nan, 1.0]]), 2)


# ---------------------------------------------------------------------- labels


def test_purity_by_hand():
    # cluster 0 holds a, a, b; cluster 1 holds b, c
    assert purity(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1])) == 3 / 5


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
    columns = dict(labels(values, "a", "b", combined=True).columns())
    assert len(np.unique(columns["combination"])) == 4


def test_classes_become_columns_and_attributes_stay_one():
    values = np.array([[0, 1], [2, 0], [2, 1]])
    names, columns = Labels(values, ["class", "Bald"], {"class": ["cat", "dog", "owl"]}).binary()
    assert names == ["class=cat", "class=owl", "Bald"]
    assert columns.astype(int).tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 1]]


# ---------------------------------------------------------------------- attributes of clusters


def test_lift_and_significance_by_hand():
    # 100 images, 30 smile; of the 20 in cluster 1, 15 do.
    smiling = np.array([1] * 15 + [0] * 5 + [1] * 15 + [0] * 65)
    assignments = np.array([1] * 20 + [0] * 80)
    clusters = Clustering(np.zeros((2, 1)), assignments, 0.0)
    found = associations(clusters, labels(smiling, "Smiling"))
    assert [(a.cluster, a.size, a.count) for a in found] == [(0, 80, 15), (1, 20, 15)]
    assert found[1].prevalence == 0.75
    assert found[1].overall == 0.3
    assert found[1].lift == pytest.approx(2.5)
    exact = fisher_exact([[15, 5], [15, 65]]).pvalue
    assert exact <= found[1].p < 4 * exact  # doubled one-sided, adjusted for two tests
    assert [str(a) for a in most_typical(found, 1)] == ["Smiling x2.5"]
    assert most_typical(found, 0) == []


def test_chance_is_rarely_called_typical():
    rng = np.random.default_rng(0)
    clusters = Clustering(np.zeros((10, 1)), rng.integers(0, 10, 2000), 0.0)
    values = rng.integers(0, 2, (2000, 40))
    found = associations(clusters, labels(values, *(f"a{i}" for i in range(40))))
    assert len(found) == 400
    assert sum(a.p < SIGNIFICANT for a in found) <= 4  # uncorrected it would be 20


def test_attributes_that_all_or_none_have_say_nothing():
    clusters = Clustering(np.zeros((2, 1)), np.array([0, 1, 0, 1]), 0.0)
    assert associations(clusters, labels(np.ones(4, int), "Male")) == []


# ---------------------------------------------------------------------- generated images


def test_the_same_shares_do_not_differ():
    same = coverage(np.array([100, 200, 700]), np.array([10, 20, 70]))
    assert same.ndb == 0
    assert same.js == pytest.approx(0, abs=1e-12)
    assert same.unvisited == []


def test_ndb_and_divergence_by_hand():
    got = coverage(np.array([500, 500]), np.array([1000, 0]))
    # m = (0.75, 0.25): (KL(p|m) + KL(q|m)) / 2
    kl_p = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    assert got.js == pytest.approx((kl_p + np.log(1 / 0.75)) / 2)
    assert got.ndb == 2
    assert got.unvisited == [1]
    # z of 60 % against 50 % of 100 each is 1.42, of 65 % 2.15; 5 % two-sided is 1.96
    assert coverage(np.array([60, 40]), np.array([50, 50])).ndb == 0
    assert coverage(np.array([65, 35]), np.array([50, 50])).ndb == 2


def test_a_small_cluster_that_chance_may_miss_is_not_called_unvisited():
    assert coverage(np.array([999, 1]), np.array([50, 0])).unvisited == []


def test_disjoint_shares_are_log_2_apart():
    assert coverage(np.array([5, 0]), np.array([0, 5])).js == pytest.approx(np.log(2))


# ---------------------------------------------------------------------- maps and settings


@pytest.mark.parametrize("n", [1, 3, 40])
def test_maps_have_a_place_for_every_point(n: int):
    points = np.random.default_rng(0).normal(size=(n, 1 if n < 4 else 5)).astype(np.float32)
    layout = embed(points)
    assert layout.shape == (n, 2)
    assert np.isfinite(layout).all()
    assert embed(points, start=layout).shape == (n, 2)


def test_a_map_keeps_blobs_apart():
    points, truth = blobs(120, 3)
    layout = embed(points)
    found = kmeans.k_means(layout, 3)
    assert scores(layout, found, labels(truth))["nmi/blob"] > 0.9


@pytest.mark.parametrize(
    ("setting", "value"),
    [("k", 0), ("k", 2.5), ("space", "faces"), ("components", 0), ("n", 1), ("generated", -1),
     ("split", "all")],
)  # fmt: skip
def test_settings_are_checked(setting: str, value: object):
    with pytest.raises(InputError, match=f"clustering.{setting}"):
        ClusterSettings(**{setting: value})  # type: ignore[arg-type]
