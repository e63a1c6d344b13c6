"""How well a probe tells labels: accuracy and average precision with intervals."""

from dataclasses import dataclass

import numpy as np

from facegan.probes.task import Problem


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
