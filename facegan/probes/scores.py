"""Accuracy and average precision on a test set, with bootstrapped intervals."""

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


Scores = dict[str, Score]  # by metric
PROBE_METRICS = ("accuracy", "balanced_accuracy", "average_precision")


def score(
    logits: np.ndarray, targets: np.ndarray, problem: Problem, draws: int = 200, seed: int = 0
) -> dict[str, Scores]:
    """The metrics of every label of ``problem``, and their ``mean`` where there are several.

    Balanced accuracy is the mean recall of both values of an attribute (of all classes), average
    precision the area below the precision-recall curve (of classes: their mean). The intervals
    come from ``draws`` bootstrapped test sets (Efron 1979), the same ones for all labels.

    Args:
        logits: (N, heads), of attributes positive for 1.
        targets: attributes (N, A) or classes (N,).
    """
    count = len(targets)
    rng = np.random.default_rng(seed)
    # Row 0 is the test set itself.
    weights = np.ones((draws + 1, count), np.float32)
    weights[1:] = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    if problem.classes is not None:
        values = _of_classes(logits, targets, weights)
        return {problem.names[0]: {metric: _interval(v) for metric, v in values.items()}}
    values = _of_attributes(logits, targets.astype(bool), weights)
    scores = {
        name: {metric: _interval(drawn[:, head]) for metric, drawn in values.items()}
        for head, name in enumerate(problem.names)
    }
    if len(scores) > 1:
        scores["mean"] = {metric: _interval(_mean(drawn)) for metric, drawn in values.items()}
    return scores


def majority(train: np.ndarray, problem: Problem, count: int) -> np.ndarray:
    """Logits (count, heads) that always predict the most frequent value in ``train``."""
    if problem.classes is not None:
        most_frequent = np.bincount(train, minlength=problem.heads).argmax()
        return np.tile(np.eye(problem.heads)[most_frequent], (count, 1))
    return np.tile(np.where(train.mean(0) > 0.5, 1.0, -1.0), (count, 1))


def average_precision(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision (B,) of scores (N,) for row weights (B, N); nan without a positive."""
    order = np.argsort(-scores, kind="stable")
    ranked, positive = scores[order], truth[order]
    weighted = weights[:, order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # ties share a threshold
    hits = np.cumsum(weighted * positive, axis=1, dtype=np.float64)[:, ends]
    retrieved = np.cumsum(weighted, axis=1, dtype=np.float64)[:, ends]
    gained = np.diff(hits, axis=1, prepend=0)
    precision = np.divide(hits, retrieved, out=np.zeros_like(hits), where=retrieved > 0)
    return _ratio((precision * gained).sum(1), hits[:, -1])


def _of_classes(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Each metric for each row of ``weights``: (B,)."""
    # A class that no image has counts nowhere: of thousands, most are not in the test set.
    present, own = np.unique(targets, return_inverse=True)
    truth = np.eye(len(present), dtype=bool)[own]
    right = (logits.argmax(1) == targets)[:, None]
    logits = logits[:, present]
    recall = _ratio(weights @ (right & truth), weights @ truth)
    with np.errstate(invalid="ignore"):
        return {
            "accuracy": (weights @ right / len(targets))[:, 0],
            "balanced_accuracy": np.nanmean(recall, axis=1),
            "average_precision": np.nanmean(_precisions(logits, truth, weights), axis=1),
        }


def _of_attributes(
    logits: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Each metric for each row of ``weights`` and each attribute: (B, A)."""
    predicted = logits > 0
    recall = _ratio(weights @ (predicted & truth), weights @ truth)
    specificity = _ratio(weights @ (~predicted & ~truth), weights @ ~truth)
    return {
        "accuracy": weights @ (predicted == truth) / len(truth),
        "balanced_accuracy": (recall + specificity) / 2,
        "average_precision": _precisions(logits, truth, weights),
    }


def _precisions(logits: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    heads = zip(logits.T, truth.T, strict=True)
    return np.stack([average_precision(s, t, weights) for s, t in heads], axis=1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    defined = ~np.isnan(values[0])  # an attribute that no test image has cannot be scored
    return values[:, defined].mean(1) if defined.any() else values[:, 0]


def _interval(drawn: np.ndarray) -> Score:
    bootstrapped = drawn[1:][~np.isnan(drawn[1:])]
    nothing = (np.nan, np.nan)
    low, high = np.percentile(bootstrapped, (2.5, 97.5)) if len(bootstrapped) else nothing
    return Score(float(drawn[0]), float(low), float(high))
