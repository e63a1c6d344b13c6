import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score
from sklearn.svm import LinearSVC

from facegan.errors import InputError
from facegan.probes import linear
from facegan.probes.scores import majority, score
from facegan.probes.task import Problem, problem_of


def attributes(n: int = 600, heads: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(n, 8)) * 3
    logits = points @ rng.normal(size=(8, heads)) + 2 * rng.normal(size=(n, heads))
    return torch.tensor(points, dtype=torch.float32), torch.tensor(logits > 0).float()


def classes(n: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, n)
    points = rng.normal(size=(4, 8))[targets] * 1.5 + rng.normal(size=(n, 8))
    return torch.tensor(points, dtype=torch.float32), torch.tensor(targets)


# ---------------------------------------------------------------------- fitting


@pytest.mark.parametrize("kind", linear.KINDS)
def test_heads_that_are_solved_together_equal_scikit_learn_one_by_one(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    penalty = 1e-3
    monkeypatch.setattr(linear, "PENALTIES", (penalty,))
    points, targets = attributes()
    probe = linear.fit_probe(points, targets, (points, targets), 3, kind)
    x = (points / probe.scale).numpy()
    strength = 1 / (penalty * len(x))
    for head in range(targets.shape[1]):
        y = targets[:, head].numpy()
        if kind == "logistic":
            model = LogisticRegression(C=strength, tol=1e-8, max_iter=1000)
        else:  # liblinear would penalise the bias, too: large, it is next to free
            model = LinearSVC(C=strength, tol=1e-8, intercept_scaling=1e3, max_iter=10**6)
        expected = model.fit(x, y).coef_[0]
        if kind == "svm":  # its loss there has a factor 1, ours 1 / N: C as above, halved twice
            expected = expected * np.linalg.norm(probe.weight[head]) / np.linalg.norm(expected)
        assert probe.weight[head].numpy() == pytest.approx(expected, rel=0.05, abs=0.02)


def test_the_penalty_is_chosen_head_by_head_on_held_out_images():
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(60, 40, generator=rng)
    clear = (points[:, 0] > 0).float()
    noise = torch.randint(0, 2, (60,), generator=rng).float()
    held_out = torch.randn(400, 40, generator=rng)
    unknown = torch.randint(0, 2, (400,), generator=rng).float()
    val = (held_out, torch.stack([(held_out[:, 0] > 0).float(), unknown], 1))
    probe = linear.fit_probe(points, torch.stack([clear, noise], 1), val, 2)
    assert probe.penalty[0] < probe.penalty[1] == max(linear.PENALTIES)


@pytest.mark.parametrize("kind", linear.KINDS)
def test_classes_are_told_apart(kind: str):
    points, targets = classes()
    probe = linear.fit_probe(points[:400], targets[:400], (points[400:], targets[400:]), 4, kind)
    accuracy = (probe(points[400:]).argmax(1) == targets[400:]).float().mean()
    expected = LogisticRegression(max_iter=1000).fit(points[:400], targets[:400])
    assert accuracy >= expected.score(points[400:], targets[400:]) - 0.02


@pytest.mark.parametrize("kind", linear.KINDS)
def test_a_class_that_no_training_image_has_is_no_obstacle(kind: str):
    points, targets = classes()
    few = targets != 3
    probe = linear.fit_probe(points[few], targets[few], (points, targets), 4, kind)
    assert probe(points).shape == (600, 4)


def test_points_that_are_all_the_same_give_the_commonest_answer():
    targets = torch.tensor([[1.0], [1.0], [0.0], [1.0]])
    probe = linear.fit_probe(torch.zeros(4, 1), targets, (torch.zeros(4, 1), targets), 1)
    assert (probe(torch.zeros(1, 1)) > 0).all()


# ---------------------------------------------------------------------- scoring


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


def test_the_commonest_answer():
    train = np.array([[1, 0], [1, 0], [0, 0]])
    problem = Problem(["a", "b"])
    guess = majority(train, problem, 4)
    assert (guess > 0).tolist() == [[True, False]] * 4
    scores = score(guess, np.array([[1, 0], [0, 0], [0, 1], [0, 0]]), problem)
    assert scores["a"]["accuracy"].value == 0.25
    assert scores["a"]["average_precision"].value == 0.25  # the share of yes
    assert scores["b"]["balanced_accuracy"].value == 0.5
    digits = majority(np.array([2, 2, 1]), Problem(["digit"], list("012")), 2)
    assert digits.argmax(1).tolist() == [2, 2]


def test_an_attribute_that_no_test_image_has_is_left_out_of_the_mean():
    truth = np.array([[1, 0], [0, 0], [1, 0]])
    scores = score(truth - 0.5, truth, Problem(["a", "b"]))
    assert np.isnan(scores["b"]["average_precision"].value)
    assert scores["mean"]["average_precision"].value == 1


# ---------------------------------------------------------------------- what there is to tell


def test_attributes_or_one_label_with_classes():
    values = np.array([[0, 1], [1, 0]])
    problem, targets = problem_of(["Bald", "Male"], values, {})
    assert (problem.classes, problem.heads, targets.shape) == (None, 2, (2, 2))
    problem, targets = problem_of(["digit"], np.array([[3], [7]]), {})
    assert (problem.heads, targets.tolist()) == (8, [3, 7])
    problem, _ = problem_of(["class"], values[:, :1], {"class": ["cat", "dog"]})
    assert problem.classes == ["cat", "dog"]
    with pytest.raises(InputError, match=r"choose classify.attributes=\[digit\]"):
        problem_of(["digit", "Bald"], np.array([[3, 0]]), {})
    with pytest.raises(InputError, match="no labels"):
        problem_of([], values[:, :0], {})
