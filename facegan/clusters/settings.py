"""What is clustered, and how."""

from collections.abc import Sequence
from dataclasses import dataclass

from facegan.errors import expect, expect_int, expect_one_of, expect_seed
from facegan.features.reading import SPACES


@dataclass(frozen=True)
class Settings:
    """What is clustered, and how (``conf/clustering``).

    Args:
        k: number of clusters.
        space: ``features`` of the discriminator, ``attributes`` (the label columns themselves, the
            classic baseline) or ``pixels``.
        attributes: labels to report and, with ``space=attributes``, to cluster; their combination
            is scored, too. ``None``: all that the data has.
        layers: of the discriminator, numbered from 1 at the image; ``None``: all.
        components: principal components that are kept.
        n: images, drawn once from ``split``; ``None``: all of it.
        split: ``train``, ``val`` or ``test``.
        generated: images that are drawn and assigned, too.
        seed: of the choice of images and of k-means.
    """

    k: int = 10
    space: str = "features"
    attributes: Sequence[str] | None = None
    layers: Sequence[int] | None = None
    components: int = 32
    n: int | None = 4000
    split: str = "train"
    generated: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        expect_int("clustering.k", self.k, 1)
        expect_one_of("clustering.space", self.space, (*SPACES, "attributes"))
        expect_int("clustering.components", self.components, 1)
        if self.n is not None:
            expect_int("clustering.n", self.n, 2)
        expect_one_of("clustering.split", self.split, ("train", "val", "test"))
        expect_int("clustering.generated", self.generated, 0)
        expect_seed("clustering.seed", self.seed)
        expect(
            self.layers is None or self.space == "features",
            f"clustering.layers is for clustering.space=features, not for {self.space}.",
        )
