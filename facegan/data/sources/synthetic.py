"""Drawn faces, labelled exactly: the default dataset, which needs no download."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from facegan.data.module import ImageDataModule
from facegan.data.packing.readers import FaceReader
from facegan.data.packing.source import Source
from facegan.data.sources.faces import drawing
from facegan.errors import expect_int


class Synthetic(ImageDataModule):
    """Faces drawn by :mod:`facegan.data.sources.faces.drawing`; 90 % train, 5 % val, 5 % test.

    Args:
        n: faces to draw; those of a smaller ``n`` are the first ones of a larger.
        draw_seed: what they look like.
        **common: see :class:`ImageDataModule`.
    """

    CHANNELS = (3,)

    def __init__(
        self,
        name: str = "synthetic",
        n: int = 20_000,
        draw_seed: int = 0,
        image_size: int = 32,
        flip: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(name, image_size=image_size, flip=flip, **common)
        expect_int("dataset.n", n, 1)
        expect_int("dataset.draw_seed", draw_seed, 0)
        self.n, self.draw_seed = n, draw_seed

    def source(self) -> Source:
        reader = FaceReader(self.image_size, self.draw_seed)
        chunks = range(-(-self.n // reader.CHUNK))
        labels = np.concatenate([reader.attributes(chunk)[0] for chunk in chunks])[: self.n]
        # By the position in each twenty, so that the split of a face does not depend on n either.
        place = np.arange(self.n) % 20
        return Source(
            name=self.name,
            size=self.image_size,
            channels=3,
            reader=reader,
            names=[f"face-{i:06d}" for i in range(self.n)],
            labels=labels.astype(np.uint8),
            label_names=list(drawing.ATTRIBUTES),
            splits=np.digitize(place, (18, 19)).astype(np.uint8),
            settings={
                "seed": self.draw_seed,
                # The code that draws, so that a change of it is seen without a version to raise.
                "code": hashlib.sha256(Path(drawing.__file__).read_bytes()).hexdigest(),
            },
            origin="facegan.data.drawing",
            chunk=reader.CHUNK,
        )
