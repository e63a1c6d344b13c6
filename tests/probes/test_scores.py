import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score

from facegan.probes.scores import majority, score
from facegan.probes.task import Problem


def test_scores_of_attributes_equal_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (300, 2))
    logits = (truth + rng.normal(size=(300, 2)) - 0.5).round(1)  # with ties
    scores = score(logits, truth, Problem(["a", "b"]))
    for head, name in enumerate("ab"):
        expected = {
            "accuracy": accuracy_score(truth[:, head], logits[:, head] > 0),
            "balanced_accuracy": balanced_accuracy_score(truth[:, head], logits[:, head] > 0),
            "average_precision": average_precision_score(truth[:, head], logits[:, head]),
        }
        for metric, value in expected.items():
            got = scores[name][metric]
            assert got.value == pytest.approx(value, abs=1e-6)
            assert got.low < got.value < got.high
    mean = (scores["a"]["accuracy"].value + scores["b"]["accuracy"].value) / 2
    assert scores["mean"]["accuracy"].value == pytest.approx(mean)


def test_scores_of_classes_equal_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    logits = np.eye(3)[truth] + rng.normal(size=(200, 3))
    scores = score(logits, truth, Problem(["digit"], ["0", "1", "2"]))["digit"]
    assert scores["accuracy"].value == pytest.approx((logits.argmax(1) == truth).mean())
    balanced = balanced_accuracy_score(truth, logits.argmax(1))
    assert scores["balanced_accuracy"].value == pytest.approx(balanced)
    precision = average_precision_score(np.eye(3)[truth], logits, average="macro")
    assert scores["average_precision"].value == pytest.approx(precision)


def test_the_interval_is_that_of_the_binomial_distribution():
    truth = np.ones((1000, 1), int)
    logits = np.where(np.arange(1000) < 800, 1.0, -1.0)[:, None]
    accuracy = score(logits, truth, Problem(["a"]), draws=2000)["a"]["accuracy"]
    width = 2 * 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert accuracy.high - accuracy.low == pytest.approx(width, rel=0.1)


def test_the_majority_baseline():
    train = np.array([[1, 0], [1, 0], [0, 0]])
    problem = Problem(["a", "b"])
    guess = majority(train, problem, 4)
    assert (guess > 0).tolist() == [[True, False]] * 4
    scores = score(guess, np.array([[1, 0], [0, 0], [0, 1], [0, 0]]), problem)
    assert scores["a"]["accuracy"].value == 0.25
    assert scores["a"]["average_precision"].value == 0.25  # the share of positives
    assert scores["b"]["balanced_accuracy"].value == 0.5
    digits = majority(np.array([2, 2, 1]), Problem(["digit"], list("012")), 2)
    assert digits.argmax(1).tolist() == [2, 2]


def test_an_attribute_that_no_test_image_has_is_left_out_of_the_mean():
    truth = np.array([[1, 0], [0, 0], [1, 0]])
    scores = score(truth - 0.5, truth, Problem(["a", "b"]))
    assert np.isnan(scores["b"]["average_precision"].value)
    assert scores["mean"]["average_precision"].value == 1


def test_classes_without_an_image_change_nothing():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(30, 4)), np.arange(30) % 3
    wide = np.full((30, 2000), -9.0)
    wide[:, :4] = logits
    few = score(logits, targets, Problem(["class"], list("abcd")), draws=20)
    many = score(wide, targets, Problem(["class"], [str(i) for i in range(2000)]), draws=20)
    for metric, value in few["class"].items():
        assert many["class"][metric].value == pytest.approx(value.value)
