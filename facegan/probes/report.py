"""Tables and pictures of how well labels can be told."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facegan.files import write_csv, write_json
from facegan.pictures import plots
from facegan.pictures.plots import margin_of_share
from facegan.pictures.sheets import save_png
from facegan.probes.scores import METRICS, Scores
from facegan.probes.task import Problem

log = logging.getLogger(__name__)


def overall(scores: Mapping[str, Scores]) -> Scores:
    """The scores of all attributes together, or of the only label."""
    return scores.get("mean") or next(iter(scores.values()))


def flat(scores: Scores) -> dict[str, float]:
    """Scores as the columns of a table."""
    columns: dict[str, float] = {}
    for metric, score in scores.items():
        columns |= {metric: score.value, f"{metric}_low": score.low, f"{metric}_high": score.high}
    return columns


def results(found: Mapping[str, Mapping[str, Scores]], facts: Mapping[str, Any], out: Path) -> None:
    """``scores.csv``, ``scores.json``, ``scores.png``, and a table on the screen.

    ``found[reads][label]``: the scores of what reads which features, for each label.
    """
    rows = [
        {"reads": reads, "label": label, **flat(scores)}
        for reads, labels in found.items()
        for label, scores in labels.items()
    ]
    write_csv(out / "scores.csv", list(rows[0]), rows)
    write_json(out / "scores.json", {**facts, "scores": rows})
    shown = list(next(iter(found.values())))
    series = {
        reads: [
            (score.value, score.low, score.high)
            for score in (labels[label]["average_precision"] for label in shown)
        ]
        for reads, labels in found.items()
    }
    picture = plots.intervals("average precision on test, 95 % intervals", shown, series)
    save_png(picture, out / "scores.png")
    lines = [f"{'':<16}" + "".join(f"{metric.replace('_', ' '):>24}" for metric in METRICS)]
    lines += [
        f"{reads:<16}" + "".join(f"{overall(labels)[metric]!s:>24}" for metric in METRICS)
        for reads, labels in found.items()
    ]
    what = "" if len(shown) == 1 else f", mean of {len(shown) - 1} attributes"
    log.info("Test set of %s images%s:\n%s", f"{facts['test']:,}", what, "\n".join(lines))
    log.info("Tables and pictures are in %s", out)


def efficiency(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """``label_efficiency.csv`` and its picture: scores by number of labelled images."""
    write_csv(out / "label_efficiency.csv", list(rows[0]), rows)
    counts = sorted({row["labels"] for row in rows})
    reads = dict.fromkeys(row["reads"] for row in rows)
    panels = {
        metric: {name: [row[metric] for row in rows if row["reads"] == name] for name in reads}
        for metric in ("accuracy", "average_precision")
    }
    picture = plots.curves(counts, panels, "labelled images", logarithmic=True)
    save_png(picture, out / "label_efficiency.png")


def confusion(logits: np.ndarray, targets: np.ndarray, problem: Problem, out: Path) -> None:
    """``confusion.png``, where there are classes to confuse."""
    if problem.classes is None:
        return
    matrix = np.zeros((problem.heads, problem.heads), np.int64)
    np.add.at(matrix, (targets, logits.argmax(1)), 1)
    save_png(plots.confusion(matrix, problem.classes), out / "confusion.png")


def curve(rows: Sequence[Mapping[str, float]], out: Path) -> None:
    """``curve.csv`` and its picture: scores and the clusters' NMI over images seen."""
    write_csv(out / "curve.csv", list(rows[0]), rows)
    nmi = {name: [row[name] for row in rows] for name in rows[0] if name.startswith("nmi/")}
    highest = sorted(nmi, key=lambda name: -nmi[name][-1])[:10]
    panels: dict[str, dict[str, list[float]]] = {
        "probe": {metric: [row[metric] for row in rows] for metric in METRICS},
        "NMI of ten clusters with": {name.removeprefix("nmi/"): nmi[name] for name in highest},
    }
    picture = plots.curves([row["images_seen"] for row in rows], panels)
    save_png(picture, out / "curve.png")


def prevalence(
    heads: Sequence[str],
    found: np.ndarray,
    real: np.ndarray,
    labelled: Sequence[float],
    out: Path,
) -> None:
    """How common each attribute is in pictures (N, heads), beside real validation images.

    Both are what the network says, so that its mistakes are in both; ``labelled`` is how common
    it truly is in the training images. Intervals are of the binomial distribution (95 %).
    """
    share = found.mean(0)
    margin = margin_of_share(share, len(found))
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
    lines = [f"{'':<24}{'here':>8}{'real':>8}"]
    lines += [f"{n:<24}{s:>8.1%}{r:>8.1%}" for n, s, r in zip(heads, share, real, strict=True)]
    gap = float(np.abs(share - real).mean())
    log.info("%s pictures:\n%s", f"{len(found):,}", "\n".join(lines))
    log.info("Mean difference %.1f points. Tables and pictures are in %s", 100 * gap, out)
