"""Drawn faces, labelled exactly: the default dataset, which needs no download."""

import numpy as np

from facegan.data.module import ImageDataModule
from facegan.data.packing.source import Source
from facegan.data.settings import SyntheticSettings
from facegan.data.sources.faces.drawing import VERSION
from facegan.data.sources.faces.people import ATTRIBUTES
from facegan.data.sources.faces.reader import FaceReader


class Synthetic(ImageDataModule):
    """Faces drawn by :mod:`facegan.data.sources.faces.drawing`; 90 % train, 5 % val, 5 % test."""

    settings_class = SyntheticSettings

    def source(self) -> Source:
        n, seed = self.settings.n, self.settings.draw_seed
        reader = FaceReader(self.image_size, seed)
        chunks = range(-(-n // reader.CHUNK))
        labels = np.concatenate([reader.attributes(chunk)[0] for chunk in chunks])[:n]
        # By the position in each twenty, so that the split of a face does not depend on n either.
        place = np.arange(n) % 20
        return Source(
            name=self.name,
            size=self.image_size,
            channels=3,
            reader=reader,
            names=[f"face-{i:06d}" for i in range(n)],
            labels=labels.astype(np.uint8),
            label_names=list(ATTRIBUTES),
            splits=np.digitize(place, (18, 19)).astype(np.uint8),
            settings={"seed": seed, "code": VERSION},
            origin="facegan.data.sources.faces",
            chunk=reader.CHUNK,
        )
