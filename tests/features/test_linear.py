import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from facegan.errors import InputError
from facegan.features import linear


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


@pytest.mark.parametrize("kind", linear.KINDS)
def test_heads_solved_together_equal_scikit_learn_one_by_one(
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
def test_classes_are_predicted_as_well_as_by_scikit_learn(kind: str):
    points, targets = classes()
    probe = linear.fit_probe(points[:400], targets[:400], (points[400:], targets[400:]), 4, kind)
    accuracy = (probe(points[400:]).argmax(1) == targets[400:]).float().mean()
    expected = LogisticRegression(max_iter=1000).fit(points[:400], targets[:400])
    assert accuracy >= expected.score(points[400:], targets[400:]) - 0.02


@pytest.mark.parametrize("kind", linear.KINDS)
def test_a_class_without_training_images_still_gets_a_logit(kind: str):
    points, targets = classes()
    few = targets != 3
    probe = linear.fit_probe(points[few], targets[few], (points, targets), 4, kind)
    assert probe(points).shape == (600, 4)


def test_identical_points_give_the_most_frequent_value():
    targets = torch.tensor([[1.0], [1.0], [0.0], [1.0]])
    probe = linear.fit_probe(torch.zeros(4, 1), targets, (torch.zeros(4, 1), targets), 1)
    assert (probe(torch.zeros(1, 1)) > 0).all()


def test_an_unknown_kind_of_probe_is_refused():
    points, targets = attributes(20)
    with pytest.raises(InputError, match="one of logistic, svm, not 'cnn'"):
        linear.fit_probe(points, targets, (points, targets), 3, "cnn")
