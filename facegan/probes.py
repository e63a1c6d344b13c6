"""Linear probes: what can be read from points without looking any deeper, and how well.

All heads of a problem (40 attributes, ten digits) are solved together, as one matrix. Points are
float32 (N, c); targets are attributes (N, A) of 0 and 1, or classes (N,).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facegan.errors import expect, expect_one_of

KINDS = ("logistic", "svm")
PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # weight of ||W||^2 / 2, strong to weak
MAX_ITERATIONS = 100  # of L-BFGS, for each penalty


@dataclass(frozen=True)
class Problem:
    """What is to be told: several ``names`` of attributes, or the classes of one label."""

    names: Sequence[str]
    classes: Sequence[str] | None = None

    @property
    def heads(self) -> int:
        return len(self.names) if self.classes is None else len(self.classes)


def problem_of(
    names: Sequence[str], values: np.ndarray, class_names: dict[str, list[str]]
) -> tuple[Problem, np.ndarray]:
    """The problem that label columns (N, L) pose, and its targets for every row.

    Either all columns are attributes of 0 and 1, or there is one column of classes.
    """
    expect(len(names) > 0, "These data have no labels: there is nothing to classify.")
    many = [
        name
        for column, name in enumerate(names)
        if name in class_names or values[:, column].max(initial=0) > 1
    ]
    if not many:
        return Problem(list(names)), values.astype(np.float32)
    expect(
        len(names) == 1,
        f"{', '.join(many)} has several classes and cannot be told together with attributes: "
        f"choose classify.attributes=[{many[0]}], or leave it out.",
    )
    count = int(values.max()) + 1
    classes = class_names.get(names[0]) or [str(number) for number in range(count)]
    expect(len(classes) > 1, f"All images have the same {names[0]}: there is nothing to tell.")
    return Problem(list(names), classes), values[:, 0].astype(np.int64)


# ---------------------------------------------------------------------- fitting


@dataclass(frozen=True)
class Probe:
    """``logits = points / scale @ weight.T + bias``; ``penalty``: the one chosen for each head."""

    weight: Tensor  # (heads, c)
    bias: Tensor  # (heads,)
    scale: float
    penalty: Tensor  # (heads,)

    def __call__(self, points: Tensor) -> Tensor:
        return F.linear(points / self.scale, self.weight, self.bias)


def fit_probe(
    points: Tensor,
    targets: Tensor,
    held_out: tuple[Tensor, Tensor],
    heads: int,
    kind: str = "logistic",
) -> Probe:
    """Fit a linear probe for every penalty and keep, head by head, the best on ``held_out``.

    ``kind``: ``logistic`` regression (for classes: softmax), or ``svm``, the L2-SVM of the DCGAN
    paper (squared hinge loss, one against the rest). Solved by L-BFGS, starting from the solution
    for the next stronger penalty.
    """
    expect_one_of("classify.probe", kind, KINDS)
    scale = float(points.square().sum(1).mean().sqrt().clamp_min(1e-12))
    x, y = points / scale, _encoded(targets, kind, heads)
    weight = torch.zeros(heads, x.shape[1], requires_grad=True)
    bias = torch.zeros(heads, requires_grad=True)
    validation = held_out[0] / scale, _encoded(held_out[1], kind, heads)
    best = torch.full((heads,), torch.inf)
    kept = weight.detach().clone(), bias.detach().clone(), torch.zeros(heads)
    for penalty in PENALTIES:
        _minimise(weight, bias, x, y, kind, penalty)
        with torch.no_grad():
            loss = _losses(F.linear(validation[0], weight, bias), validation[1], kind)
            better = loss < best
            best = torch.where(better, loss, best)
            if not better.any():  # nor would a still weaker penalty be
                break
            for mine, now in zip(kept, (weight, bias, torch.full((heads,), penalty)), strict=True):
                mine[better] = now[better]
    return Probe(kept[0], kept[1], scale, kept[2])


def _encoded(targets: Tensor, kind: str, heads: int) -> Tensor:
    """Targets as the loss wants them: classes of an SVM become one column each."""
    if targets.ndim == 1 and kind == "svm":
        return F.one_hot(targets, heads).float()
    return targets


def _losses(logits: Tensor, targets: Tensor, kind: str) -> Tensor:
    """Mean loss of each head (heads,); of softmax, its share in the whole loss."""
    if kind == "svm":
        return (1 - (2 * targets - 1) * logits).clamp_min(0).square().mean(0)
    if targets.ndim == 1:
        heads = logits.shape[1]
        return (F.cross_entropy(logits, targets) / heads).expand(heads)
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(0)


def _minimise(
    weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, kind: str, penalty: float
) -> None:
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=MAX_ITERATIONS, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        solver.zero_grad()
        loss = (
            _losses(F.linear(x, weight, bias), y, kind).sum() + penalty / 2 * weight.square().sum()
        )
        loss.backward()
        return loss

    solver.step(closure)


# ---------------------------------------------------------------------- scoring


@dataclass(frozen=True)
class Score:
    """A value with the 95 % interval of bootstrapped test sets."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}]"


Scores = dict[str, Score]  # by metric: accuracy, balanced_accuracy, average_precision
METRICS = ("accuracy", "balanced_accuracy", "average_precision")


def score(
    logits: np.ndarray, targets: np.ndarray, problem: Problem, draws: int = 200, seed: int = 0
) -> dict[str, Scores]:
    """The metrics of every name of ``problem``, and their ``mean`` where there are several.

    ``logits`` (N, heads), positive for yes. Balanced accuracy is the mean recall of both answers
    (of all classes), average precision the area below precision and recall (of classes: their
    mean). The intervals come from ``draws`` bootstrapped test sets (Efron 1979), the same ones for
    all.
    """
    count = len(targets)
    rng = np.random.default_rng(seed)
    # Row 0 is the test set as it is.
    weights = np.ones((draws + 1, count), np.float32)
    weights[1:] = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    if problem.classes is not None:
        right = (logits.argmax(1) == targets)[:, None]
        truth = np.eye(problem.heads, dtype=bool)[targets]
        recall = _ratio(weights @ (right & truth), weights @ truth)
        precision = np.stack([average_precision(s, t, weights) for s, t in _heads(logits, truth)])
        with np.errstate(invalid="ignore"):
            values = {
                "accuracy": (weights @ right / count)[:, 0],
                "balanced_accuracy": np.nanmean(recall, axis=1),
                "average_precision": np.nanmean(precision, axis=0),
            }
        return {problem.names[0]: {name: _interval(drawn) for name, drawn in values.items()}}
    truth, said = targets.astype(bool), logits > 0
    recall = _ratio(weights @ (said & truth), weights @ truth)
    specificity = _ratio(weights @ (~said & ~truth), weights @ ~truth)
    drawn = {
        "accuracy": weights @ (said == truth) / count,
        "balanced_accuracy": (recall + specificity) / 2,
        "average_precision": np.stack(
            [average_precision(s, t, weights) for s, t in _heads(logits, truth)], axis=1
        ),
    }
    scores = {
        name: {metric: _interval(values[:, head]) for metric, values in drawn.items()}
        for head, name in enumerate(problem.names)
    }
    if len(scores) > 1:
        scores["mean"] = {
            metric: _interval(_mean_of_known(values)) for metric, values in drawn.items()
        }
    return scores


def majority(train: np.ndarray, problem: Problem, count: int) -> np.ndarray:
    """Logits (count, heads) of always saying what is commonest in ``train``."""
    if problem.classes is not None:
        commonest = np.bincount(train, minlength=problem.heads).argmax()
        return np.tile(np.eye(problem.heads)[commonest], (count, 1))
    return np.tile(np.where(train.mean(0) > 0.5, 1.0, -1.0), (count, 1))


def average_precision(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision (B,) of scores (N,) for weights (B, N) of the rows; nan without a yes."""
    order = np.argsort(-scores, kind="stable")
    ranked, yes = scores[order], truth[order]
    weighted = weights[:, order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # equal scores count at once
    hits = np.cumsum(weighted * yes, axis=1, dtype=np.float64)[:, ends]
    seen = np.cumsum(weighted, axis=1, dtype=np.float64)[:, ends]
    gained = np.diff(hits, axis=1, prepend=0)
    total = hits[:, -1]
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return _ratio((precision * gained).sum(1), total)


def _heads(logits: np.ndarray, truth: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(logits.T, truth.T, strict=True))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values[0])  # an attribute that no test image has cannot be scored
    return values[:, known].mean(1) if known.any() else values[:, 0]


def _interval(drawn: np.ndarray) -> Score:
    others = drawn[1:][~np.isnan(drawn[1:])]
    low, high = np.percentile(others, (2.5, 97.5)) if len(others) else (np.nan, np.nan)
    return Score(float(drawn[0]), float(low), float(high))
