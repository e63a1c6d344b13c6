"""Fidelity and diversity, each as a number of its own, from nearest neighbours.

Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et
al. 2020, arXiv:2002.09797).
"""

import torch
from torch import Tensor

from facegan.errors import InputError
from facegan.quality.metrics.uncertainty import GROUPS, Estimate, group_numbers, mean_estimate

DISTANCE_ROWS = 1024  # of distances held at a time


def manifold(
    real: Tensor, generated: Tensor, k: int = 3, k_density: int = 5
) -> dict[str, Estimate]:
    """Compare vectors (N, d) with (M, d); the reach of one is its ``k``-th neighbour of its kind.

    - ``precision``: the share of generated images within reach of a real one.
    - ``recall``: the share of real images within reach of a generated one.
    - ``density``: how many real images reach a generated one, over the number expected; only this
      one may exceed 1.
    - ``coverage``: the share of real images that have a generated one within reach.

    Density and coverage use ``k_density`` neighbours; both defaults are those of the papers.
    Raises InputError for too few vectors.
    """
    expect_neighbours(min(len(real), len(generated)), max(k, k_density))
    reach_real, reach_real_density = _reach(real, k, k_density)
    (reach_generated,) = _reach(generated, k)
    group = group_numbers(len(generated))
    within_real = torch.zeros(len(generated), dtype=torch.bool)
    reaching = torch.zeros(len(generated))
    recalled, covered = torch.zeros(2, len(real), GROUPS, dtype=torch.bool)  # by which tenths
    for start in range(0, len(generated), DISTANCE_ROWS):
        part = slice(start, start + DISTANCE_ROWS)
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
    """Estimate the share of real images that any of the ``generated`` ones recall or cover.

    ``by_group`` (N, GROUPS): by which tenths of these. Their reach stays that among all of them.
    """
    count = by_group.sum(1)
    value = float((count > 0).double().mean())
    if generated < GROUPS:
        return Estimate(value)
    return Estimate(value, (count[:, None] > by_group.long()).double().mean(0).tolist())


def expect_neighbours(images: int, most: int = 5) -> None:
    """Raise InputError unless each of ``images`` has ``most`` others."""
    if images <= most:
        raise InputError(
            f"Precision and recall with {most} neighbours need more than {most} images of each "
            f"kind, not {images}: leave prdc out of the metrics."
        )


def _reach(points: Tensor, *counts: int) -> list[Tensor]:
    """For each of ``counts``: the distance (N,) to that neighbour, the point itself not counted."""
    found = []
    for part in points.split(DISTANCE_ROWS):
        nearest = torch.cdist(part, points).topk(max(counts) + 1, dim=1, largest=False).values
        found.append(nearest[:, list(counts)])
    return list(torch.cat(found).T)
