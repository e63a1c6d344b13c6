"""Are images good, and are they varied? Answers from nearest neighbours.

Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et
al. 2020, arXiv:2002.09797).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from facegan.errors import expect

ROWS = 1024  # of distances held at a time


@dataclass(frozen=True)
class Manifold:
    """Shares in [0, 1], but for ``density``, which may exceed 1.

    Attributes:
        precision: of generated images that lie within reach of a real one.
        recall: of real images that lie within reach of a generated one.
        density: how many real images reach a generated one, over the number expected.
        coverage: of real images that have a generated one within reach.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold(real: Tensor, generated: Tensor, k: int = 3, k_density: int = 5) -> Manifold:
    """Compare vectors (N, d) with (M, d); an image reaches to its ``k``-th neighbour of its kind.

    ``k_density`` neighbours for density and coverage: the defaults are those of the papers.
    """
    most = max(k, k_density)
    expect(
        min(len(real), len(generated)) > most,
        f"Precision and recall with {most} neighbours need more than {most} images of each kind.",
    )
    reach_real = _reach(real, k, k_density)
    reach_generated = _reach(generated, k)
    within_real = torch.zeros(len(generated), dtype=torch.bool)
    within_generated = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    reached = 0
    for start in range(0, len(generated), ROWS):
        part = slice(start, start + ROWS)
        gaps = torch.cdist(generated[part], real)
        within_real[part] = (gaps <= reach_real[0]).any(1)
        within_generated |= (gaps <= reach_generated[0][part, None]).any(0)
        near = gaps <= reach_real[1]
        reached += int(near.sum())
        covered |= near.any(0)
    return Manifold(
        precision=float(within_real.float().mean()),
        recall=float(within_generated.float().mean()),
        density=reached / (k_density * len(generated)),
        coverage=float(covered.float().mean()),
    )


def _reach(points: Tensor, *counts: int) -> list[Tensor]:
    """For each of ``counts``: the distance (N,) to that neighbour, not counting oneself."""
    found = []
    for part in points.split(ROWS):
        nearest = torch.cdist(part, points).topk(max(counts) + 1, dim=1, largest=False).values
        found.append(nearest[:, list(counts)])
    return list(torch.cat(found).T)
