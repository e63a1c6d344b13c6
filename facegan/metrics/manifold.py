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
    """What each image says of its neighbours: a metric is the mean of its tensor.

    Attributes:
        precision: whether each generated image (M,) lies within reach of a real one.
        recall: whether each real image (N,) lies within reach of a generated one.
        density: how many real images reach each generated one (M,), over the number expected;
            the only one that may exceed 1.
        coverage: whether each real image (N,) has a generated one within reach.
    """

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


def manifold(real: Tensor, generated: Tensor, k: int = 3, k_density: int = 5) -> Manifold:
    """Compare vectors (N, d) with (M, d); an image reaches to its ``k``-th neighbour of its kind.

    ``k_density`` neighbours for density and coverage: the defaults are those of the papers.
    """
    expect_neighbours(min(len(real), len(generated)), max(k, k_density))
    reach_real = _reach(real, k, k_density)
    reach_generated = _reach(generated, k)
    within_real = torch.zeros(len(generated), dtype=torch.bool)
    within_generated = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    reached = torch.zeros(len(generated))
    for start in range(0, len(generated), ROWS):
        part = slice(start, start + ROWS)
        gaps = torch.cdist(generated[part], real)
        within_real[part] = (gaps <= reach_real[0]).any(1)
        within_generated |= (gaps <= reach_generated[0][part, None]).any(0)
        near = gaps <= reach_real[1]
        reached[part] = near.sum(1).float()
        covered |= near.any(0)
    return Manifold(
        precision=within_real.float(),
        recall=within_generated.float(),
        density=reached / k_density,
        coverage=covered.float(),
    )


def expect_neighbours(images: int, most: int = 5) -> None:
    """Raise InputError where not every image has ``most`` others of its kind."""
    expect(
        images > most,
        f"Precision and recall with {most} neighbours need more than {most} images of each kind, "
        f"not {images}.",
    )


def _reach(points: Tensor, *counts: int) -> list[Tensor]:
    """For each of ``counts``: the distance (N,) to that neighbour, not counting oneself."""
    found = []
    for part in points.split(ROWS):
        nearest = torch.cdist(part, points).topk(max(counts) + 1, dim=1, largest=False).values
        found.append(nearest[:, list(counts)])
    return list(torch.cat(found).T)
