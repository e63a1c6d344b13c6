"""Tables and pictures of how well labels are predicted."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facegan.files import write_csv, write_json
from facegan.pictures import plots
from facegan.pictures.sheets import save_png
from facegan.probes.scores import PROBE_METRICS, Scores
from facegan.probes.task import Problem

log = logging.getLogger(__name__)


def overall(scores: Mapping[str, Scores]) -> Scores:
    """The mean scores of all attributes, or those of the only label."""
    return scores.get("mean") or next(iter(scores.values()))


def flat(scores: Scores) -> dict[str, float]:
    """Scores as columns: each metric with the ends of its interval."""
    columns: dict[str, float] = {}
    for metric, score in scores.items():
        columns |= {metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high}
    return columns


def write_scores(
    results: Mapping[str, Mapping[str, Scores]], facts: Mapping[str, Any], out: Path
) -> None:
    """``scores.csv``, ``scores.json``, and a table in the log.

    ``results``: scores by what is read, and by label; ``facts``: further keys of the JSON.
    """
    rows = [
        {"reads": reads, "label": label, **flat(scores)}
        for reads, labels in results.items()
        for label, scores in labels.items()
    ]
    write_csv(out / "scores.csv", list(rows[0]), rows)
    write_json(out / "scores.json", {**facts, "scores": rows})
    lines = [f"{'':<16}" + "".join(f"{metric.replace('_', ' '):>24}" for metric in PROBE_METRICS)]
    lines += [
        f"{reads:<16}" + "".join(f"{overall(labels)[metric]!s:>24}" for metric in PROBE_METRICS)
        for reads, labels in results.items()
    ]
    count = len(next(iter(results.values())))
    of = "" if count == 1 else f", mean of {count - 1} attributes"
    log.info("Test set of %s images%s:\n%s", f"{facts['test']:,}", of, "\n".join(lines))


def draw_scores(results: Mapping[str, Mapping[str, Scores]], out: Path) -> None:
    """``scores.png``: average precision of every label, with intervals."""
    precisions = {
        reads: [scores["average_precision"] for scores in labels.values()]
        for reads, labels in results.items()
    }
    series = {reads: [(s.value, s.low, s.high) for s in ps] for reads, ps in precisions.items()}
    labels = list(next(iter(results.values())))
    picture = plots.intervals("average precision on test, 95 % intervals", labels, series)
    save_png(picture, out / "scores.png")


ByCount = Mapping[str, Mapping[int, Mapping[str, Scores]]]  # by what is read, labelled images


def write_efficiency(by_count: ByCount, out: Path) -> None:
    """``label_efficiency.csv``: scores by number of labelled training images."""
    rows = [
        {"reads": reads, "labels": count, **flat(overall(scores))}
        for reads, counts in by_count.items()
        for count, scores in counts.items()
    ]
    write_csv(out / "label_efficiency.csv", list(rows[0]), rows)


def draw_efficiency(by_count: ByCount, out: Path) -> None:
    """``label_efficiency.png``: a line for each of what is read."""
    panels = {
        metric: {
            reads: [overall(scores)[metric].value for scores in counts.values()]
            for reads, counts in by_count.items()
        }
        for metric in ("accuracy", "average_precision")
    }
    numbers = list(next(iter(by_count.values())))
    picture = plots.curves(numbers, panels, "labelled images", logarithmic=True)
    save_png(picture, out / "label_efficiency.png")


def draw_confusion(logits: np.ndarray, targets: np.ndarray, problem: Problem, out: Path) -> None:
    """``confusion.png``, where classes are predicted."""
    if problem.classes is None:
        return
    matrix = np.zeros((problem.heads, problem.heads), np.int64)
    np.add.at(matrix, (targets, logits.argmax(1)), 1)
    save_png(plots.confusion(matrix, problem.classes), out / "confusion.png")


def write_curve(rows: Sequence[Mapping[str, float]], out: Path) -> None:
    """``curve.csv`` and its picture: scores and the clusters' NMI by images seen.

    The picture shows the ten labels with the highest NMI at the end.
    """
    write_csv(out / "curve.csv", list(rows[0]), rows)
    nmi = {name: [row[name] for row in rows] for name in rows[0] if name.startswith("nmi/")}
    highest = sorted(nmi, key=lambda name: -nmi[name][-1])[:10]
    panels: dict[str, dict[str, list[float]]] = {
        "probe": {metric: [row[metric] for row in rows] for metric in PROBE_METRICS},
        "NMI of ten clusters with": {name.removeprefix("nmi/"): nmi[name] for name in highest},
    }
    picture = plots.curves([row["images_seen"] for row in rows], panels)
    save_png(picture, out / "curve.png")


def write_prevalence(
    heads: Sequence[str],
    predicted: np.ndarray,
    real: np.ndarray,
    labelled: Sequence[float],
    out: Path,
) -> None:
    """``prevalence.csv`` and ``prevalence.png``: how frequent each attribute is in pictures.

    ``predicted``: bool (N, heads). ``real``: share (heads,) predicted by the same network for real
    validation images, so that its errors are in both. ``labelled``: true share (heads,) in the
    training images.
    """
    share = predicted.mean(0)
    margin = plots.margin_of_share(share, len(predicted))
    rows = [
        {
            "attribute": name,
            "pictures": f"{share[i]:.4f}",
            "margin": f"{margin[i]:.4f}",
            "real": f"{real[i]:.4f}",
            "labelled": f"{labelled[i]:.4f}",
        }
        for i, name in enumerate(heads)
    ]
    write_csv(out / "prevalence.csv", list(rows[0]), rows)
    picture = plots.prevalence(heads, share, margin, "these pictures", list(real))
    save_png(picture, out / "prevalence.png")
    lines = [f"{'':<24}{'pictures':>9}{'real':>9}"]
    lines += [f"{n:<24}{s:>9.1%}{r:>9.1%}" for n, s, r in zip(heads, share, real, strict=True)]
    gap = float(np.abs(share - real).mean())
    log.info("%s pictures:\n%s", f"{len(predicted):,}", "\n".join(lines))
    log.info("Mean difference %.1f points. Tables and pictures are in %s", 100 * gap, out)
