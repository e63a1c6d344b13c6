"""Are images good, and are they varied? Answers from nearest neighbours.

Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et
al. 2020, arXiv:2002.09797).
"""

import torch
from torch import Tensor

from facegan.errors import expect
from facegan.quality.metrics.uncertainty import GROUPS, Estimate, group_numbers, mean_estimate

ROWS = 1024  # of distances held at a time


def manifold(
    real: Tensor, generated: Tensor, k: int = 3, k_density: int = 5
) -> dict[str, Estimate]:
    """Compare vectors (N, d) with (M, d); an image reaches to its ``k``-th neighbour of its kind.

    - ``precision``: the share of generated images within reach of a real one.
    - ``recall``: the share of real images within reach of a generated one.
    - ``density``: how many real images reach a generated one, over the number expected; the only
      one that may exceed 1.
    - ``coverage``: the share of real images that have a generated one within reach.

    ``k_density`` neighbours for density and coverage: the defaults are those of the papers.
    """
    expect_neighbours(min(len(real), len(generated)), max(k, k_density))
    reach_real, reach_real_density = _reach(real, k, k_density)
    (reach_generated,) = _reach(generated, k)
    group = group_numbers(len(generated))
    within_real = torch.zeros(len(generated), dtype=torch.bool)
    reaching = torch.zeros(len(generated))
    recalled, covered = torch.zeros(2, len(real), GROUPS, dtype=torch.bool)  # by which tenths
    for start in range(0, len(generated), ROWS):
        part = slice(start, start + ROWS)
        gaps = torch.cdist(generated[part], real)
        within_real[part] = (gaps <= reach_real).any(1)
        near = gaps <= reach_real_density
        reaching[part] = near.sum(1).float()
        within_generated = gaps <= reach_generated[part, None]
        for number in group[part].unique().tolist():
            own = group[part] == number
            recalled[:, number] |= within_generated[own].any(0)
            covered[:, number] |= near[own].any(0)
    return {
        "precision": mean_estimate(within_real.float()),
        "recall": _any_estimate(recalled, len(generated)),
        "density": mean_estimate(reaching / k_density),
        "coverage": _any_estimate(covered, len(generated)),
    }


def _any_estimate(by_group: Tensor, generated: int) -> Estimate:
    """Of the share of real images (N, GROUPS) that any of the ``generated`` ones do something to.

    With the generated images' reach as it is among all of them.
    """
    count = by_group.sum(1)
    value = float((count > 0).double().mean())
    if generated < GROUPS:
        return Estimate(value)
    return Estimate(value, (count[:, None] > by_group.long()).double().mean(0).tolist())


def expect_neighbours(images: int, most: int = 5) -> None:
    """Raise InputError where not every image has ``most`` others of its kind."""
    expect(
        images > most,
        f"Precision and recall with {most} neighbours need more than {most} images of each kind, "
        f"not {images}: leave prdc out of the metrics.",
    )


def _reach(points: Tensor, *counts: int) -> list[Tensor]:
    """For each of ``counts``: the distance (N,) to that neighbour, not counting oneself."""
    found = []
    for part in points.split(ROWS):
        nearest = torch.cdist(part, points).topk(max(counts) + 1, dim=1, largest=False).values
        found.append(nearest[:, list(counts)])
    return list(torch.cat(found).T)
