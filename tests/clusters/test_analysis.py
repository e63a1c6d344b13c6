import numpy as np

from facegan.clusters.analysis import analyse
from tests.clusters.planted import blobs, labels, selected


def test_planted_labels_are_typical_of_their_clusters():
    points, truth = blobs()
    found = analyse(points, selected(labels(truth), 4))
    typical = [found.typical(number) for number in range(4)]
    assert sorted(names[0].split(" ")[0] for names in typical) == [f"blob={i}" for i in range(4)]
    assert [name.split(",")[0] for name in found.names] == [
        f"blob {names[0].removeprefix('blob=').split(' ')[0]}" for names in typical
    ]
    assert found.title(2) == f"2: {found.names[2]}"
    assert found.coverage is None
    assert len(found.generated) == 0


def test_generated_points_are_counted_by_cluster():
    points, truth = blobs()
    generated = points[truth == 2]
    found = analyse(points, selected(labels(truth), 4), generated=generated)
    reached = found.clusters.assignments[truth == 2][0]
    assert (found.generated == reached).all()
    assert found.coverage is not None
    assert sorted(found.coverage.unvisited) == sorted({0, 1, 2, 3} - {reached})
    assert found.scores["ndb"] == 4


def test_numbers_are_those_of_the_combinations_that_k_means_starts_from():
    points, truth = blobs()
    renumbered = np.array([2, 0, 3, 1])[truth]
    some_wrong = np.where(np.arange(len(truth)) % 5, renumbered, 0)
    chosen = selected(labels(truth), 4)
    found = analyse(points, chosen, previous=truth, start=some_wrong)
    assert np.array_equal(found.clusters.assignments, renumbered)
    again = analyse(points + 1, chosen, previous=renumbered, start=some_wrong)
    assert np.array_equal(again.clusters.assignments, renumbered)
    assert (found.scores["stability"], again.scores["stability"]) == (1, 1)


def test_a_second_analysis_starts_from_the_first():
    points, truth = blobs()
    first = analyse(points, selected(labels(truth), 4))
    again = selected(labels(truth), 4)
    second = analyse(points + 1, again, seed=5, previous=first.clusters.assignments)
    assert np.array_equal(first.clusters.assignments, second.clusters.assignments)
    assert second.scores["stability"] == 1
