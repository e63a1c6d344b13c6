import numpy as np
import pytest
from scipy.stats import fisher_exact

from facegan.clusters.kmeans import Clustering
from facegan.clusters.scores import SIGNIFICANT, associations, coverage, most_typical, purity
from tests.clusters.planted import labels


def test_purity_by_hand():
    # cluster 0 holds a, a, b; cluster 1 holds b, c
    assert purity(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1])) == 3 / 5


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


def test_attributes_by_chance_are_rarely_called_typical():
    rng = np.random.default_rng(0)
    clusters = Clustering(np.zeros((10, 1)), rng.integers(0, 10, 2000), 0.0)
    values = rng.integers(0, 2, (2000, 40))
    found = associations(clusters, labels(values, *(f"a{i}" for i in range(40))))
    assert len(found) == 400
    assert sum(a.p < SIGNIFICANT for a in found) <= 4  # uncorrected it would be 20


def test_attributes_that_all_or_none_have_say_nothing():
    clusters = Clustering(np.zeros((2, 1)), np.array([0, 1, 0, 1]), 0.0)
    assert associations(clusters, labels(np.ones(4, int), "Male")) == []


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
