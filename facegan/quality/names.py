"""Metrics, the names of their scores, and the direction in which a score improves."""

import re
from typing import Literal, get_args

Metric = Literal[
    "fd", "kd", "is", "prdc", "swd", "msssim", "prevalence", "adherence", "cas", "modes", "new"
]
METRICS: tuple[Metric, ...] = get_args(Metric)
SCORES = {  # of a metric that gives other scores than one of its own name
    "prdc": ("precision", "recall", "density", "coverage"),
    "modes": ("modes", "reverse_kl"),
    "new": ("copies",),
}
PIXEL_METRICS = frozenset(("swd", "msssim"))  # computed on images, without an extractor
SELF_CONTAINED = frozenset(
    ("adherence", "cas", "modes", "new")
)  # need no vectors of the real images
INCEPTION_NAMES = {"fd": "fid", "kd": "kid"}  # the usual names, with Inception
DIRECTIONS = {
    **dict.fromkeys(("fd", "fid", "kd", "kid", "swd", "prevalence", "reverse_kl", "copies"), "min"),
    **dict.fromkeys(
        ("is", "precision", "recall", "density", "coverage", "adherence", "cas", "modes"), "max"
    ),
}


def better(name: str) -> str | None:
    """The direction in which the score ``name`` improves, ``min`` or ``max``; ``None``: neither."""
    known = (score for score in DIRECTIONS if re.fullmatch(rf"{score}([_/].*)?", name))
    return DIRECTIONS.get(next(known, ""))


def name_of(score: str, extractor: str) -> str:
    """The name of ``score`` on vectors of ``extractor``: ``fid``, or ``fd_cnn``.

    Only with Inception does a score have its usual name. With any other network it ends in that
    network's name, so that it cannot be mistaken for a published number.
    """
    if score.startswith(tuple(PIXEL_METRICS)):
        return score
    if extractor == "inception":
        return INCEPTION_NAMES.get(score, score)
    return f"{score}_{extractor}"
