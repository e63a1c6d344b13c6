"""What is measured, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facegan.errors import expect, expect_int, expect_list, expect_one_of, expect_seed
from facegan.quality.names import FIELD_NAMES, METRICS

OWN_NAMES = {field: own for own, field in FIELD_NAMES.items()}


@dataclass(frozen=True)
class Settings:
    """What is measured, and how (``conf/quality``).

    Args:
        metrics: of ``facegan.metrics.METRICS``.
        n: images that are drawn.
        real: as many real ones, drawn once from ``split``; ``None``: all of it.
        split: ``train``, ``val``, ``test`` or ``all``.
        extractor: its ``kind`` (``pixels``, ``cnn``, ``inception``, or a torchvision model),
            ``weights``, a file; ``None`` for ``cnn``: the network that ``facegan.classify`` made
            for the data; and the ``layer``, for ``inception`` (see ``facegan.extractors``).
        kid_subsets, kid_subset_size: of the kernel distance; ``None``: 1000, or all if fewer.
        seed: of latents, and of the choice of images and subsets.
        prefix: of these keys, where a sentence names one.
    """

    metrics: Sequence[str] = ("fd", "prdc")
    n: int = 2000
    real: int | None = None
    split: str = "train"
    extractor: Mapping[str, Any] = field(default_factory=lambda: {"kind": "pixels"})
    kid_subsets: int = 100
    kid_subset_size: int | None = None
    seed: int = 0
    prefix: str = "quality."

    def __post_init__(self) -> None:
        key = self.prefix
        for name in ("n", "kid_subsets"):
            expect_int(f"{key}{name}", getattr(self, name), at_least=1)
        if self.real is not None:
            expect_int(f"{key}real", self.real, at_least=1)
        if self.kid_subset_size is not None:
            expect_int(f"{key}kid_subset_size", self.kid_subset_size, at_least=2)
        expect_seed(f"{key}seed", self.seed)
        expect_one_of(f"{key}split", self.split, ("train", "val", "test", "all"))
        expect_list(f"{key}metrics", self.metrics, "[fd,prdc]")
        known = ", ".join(METRICS)
        expect(len(self.metrics) > 0, f"{key}metrics is empty: choose from {known}.")
        for metric in self.metrics:
            expect_one_of(f"{key}metrics", OWN_NAMES.get(metric, metric), METRICS)
        given = self.extractor
        expect(
            isinstance(given, Mapping) and isinstance(given.get("kind"), str),
            f"{key}extractor must have a kind: set {key}extractor.kind=cnn, not {given!r}.",
        )
        unknown = sorted(set(given) - {"kind", "weights", "layer"})
        expect(not unknown, f"{key}extractor has a kind, weights and a layer, no {unknown}.")

    @property
    def chosen(self) -> set[str]:
        """The metrics by our own names."""
        return {OWN_NAMES.get(metric, metric) for metric in self.metrics}
