"""Compare two generators on the same latents: do their scores differ by more than noise?"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facegan.errors import InputError
from facegan.files import expect_writable, write_json
from facegan.pictures.sheets import save_png
from facegan.quality import evaluation, report
from facegan.quality.evaluation import Candidate
from facegan.quality.metrics.uncertainty import paired_difference
from facegan.quality.names import better
from facegan.quality.reference import ReferenceSet

LEVEL = 0.05  # probability that any score of two equal generators is called different

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Difference:
    """One score of two generators.

    Attributes:
        error: standard error of the difference; ``None`` for too few images.
        p: probability of so large a difference between equal generators; ``None``: unknown.
        level: below which ``p`` is significant.
    """

    name: str
    first: float
    second: float
    error: float | None
    p: float | None
    level: float

    @property
    def difference(self) -> float:
        """``second - first``."""
        return self.second - self.first

    @property
    def differs(self) -> bool:
        """Whether the difference is significant."""
        return self.p is not None and self.p < self.level

    @property
    def better(self) -> str | None:
        """``first`` or ``second``; ``None`` where neither is."""
        direction = better(self.name)
        if not self.differs or direction is None:
            return None
        return "second" if (self.difference < 0) == (direction == "min") else "first"

    def content(self) -> dict[str, Any]:
        """Plain values, for ``comparison.json``."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference,
            "error": self.error,
            "p": self.p,
            "differs": self.differs,
            "better": self.better,
        }


def compare(
    reference: ReferenceSet, first: Candidate, second: Candidate, out: Path
) -> dict[str, Difference]:
    """Measure two generators on the same latents, and test the differences of their scores.

    Writes into ``out``: ``comparison.json``, ``comparison.png``, and what
    :func:`facegan.quality.evaluation.evaluate_candidate` writes in ``first`` and ``second``. The
    level of significance is shared among the scores (Bonferroni).

    Raises InputError where the two cannot be compared, or nothing can be written to ``out``.
    """
    expect_comparable(first, second)
    expect_writable(out)
    scores = [
        evaluation.measure(reference, candidate, out / part).scores
        for part, candidate in (("first", first), ("second", second))
    ]
    level = LEVEL / len(scores[0])
    found = {}
    for name, one in scores[0].items():
        other = scores[1][name]
        error, p = paired_difference(one.estimate, other.estimate)
        found[name] = Difference(name, one.value, other.value, error, p, level)
    facts = {"first": first.facts, "second": second.facts, "level": level}
    rows = {name: difference.content() for name, difference in found.items()}
    write_json(out / "comparison.json", {**facts, **rows})
    names = (first.name, second.name)
    picture = report.pairs(first.images_of, second.images_of, names)
    save_png(picture, out / "comparison.png")
    log.info(
        "%s, the same latents for both:\n%s\nErrors are of the choice of images alone: the same "
        "training with another seed mostly differs by more.\nEverything is in %s",
        *(evaluation.sizes(reference, first), comparison_table(found, names), out),
    )
    return found


def expect_comparable(first: Candidate, second: Candidate) -> None:
    """Raise InputError unless both are generators of the same image shape and latent size."""
    if (first.image_size, first.channels) != (second.image_size, second.channels):
        raise InputError(
            f"{first.name} draws {first.image_size} px with {first.channels} channels, "
            f"{second.name} {second.image_size} px with {second.channels}: they cannot be compared."
        )
    if first.latent_dim is None or first.latent_dim != second.latent_dim:
        raise InputError(
            f"{first.name} has {first.latent_dim} latent dimensions, {second.name} "
            f"{second.latent_dim}: they cannot be given the same latents. Evaluate each with ckpt= "
            "instead."
        )


def comparison_table(found: dict[str, Difference], names: tuple[str, str]) -> str:
    """One line per score."""
    first, second = names
    lines = [f"  {'':<24}{first:>14}{second:>14}{'difference':>20}"]
    for name, row in found.items():
        error = "?" if row.error is None else f"{row.error:.2g}"
        lines.append(
            f"  {name:<24}{row.first:>14.4g}{row.second:>14.4g}{row.difference:>+12.3g} ± {error}"
            f"  {_verdict(row, names)}"
        )
    return "\n".join(lines)


def _verdict(row: Difference, names: tuple[str, str]) -> str:
    if row.p is None:
        return "too few images to tell"
    if not row.differs:
        return "within the noise" if row.p >= LEVEL else "hardly more than noise"
    if row.better is None:
        return "they differ"
    return f"{names[row.better == 'second']} is better"
