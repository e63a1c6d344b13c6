"""The reader of drawn faces, run in worker processes. Imports no torch."""

from dataclasses import dataclass

import numpy as np

from facegan.data.packing.parallel import Bad
from facegan.data.sources.faces.drawing import draw_faces
from facegan.data.sources.faces.people import sample_attributes


@dataclass(frozen=True)
class FaceReader:
    """Draws synthetic faces, ``CHUNK`` at a time, each chunk from its own random stream.

    What row i shows depends on the seed and on i only: not on how many are drawn, in which
    order, nor by how many processes.
    """

    size: int
    seed: int

    CHUNK = 100  # a larger one is hardly faster, and at 128 px takes hundreds of megabytes

    def attributes(self, chunk: int) -> tuple[np.ndarray, np.random.Generator]:
        """The labels (CHUNK, L) of a chunk, and the stream from which it is to be drawn."""
        rng = np.random.default_rng([self.seed, chunk])
        return sample_attributes(rng, self.CHUNK), rng

    def fill(self, out: np.ndarray, start: int) -> Bad:
        for first in range(start, start + len(out), self.CHUNK):
            attributes, rng = self.attributes(first // self.CHUNK)
            faces = draw_faces(attributes, self.size, rng)
            rows = out[first - start : first - start + self.CHUNK]
            rows[:] = faces[: len(rows)]
        return {}
