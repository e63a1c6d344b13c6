"""Are the generated images new, or does the generator repeat what it was trained on?"""

from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import Tensor
from tqdm import tqdm

from facegan.errors import expect

ROWS, BLOCK = 512, 8192  # of distances held at a time
CANDIDATES = 8  # of a block, that are measured exactly
HELD_OUT = 2000  # at most: the search is exact
SUSPICIOUS = 0.01  # of held-out images look like copies as much as a copy has to


@dataclass(frozen=True)
class Memorization:
    """How many generated images look like copies of a training image.

    An image looks like a copy if one training image is much nearer to it than the next: if the
    ratio of these two distances is below that of 99 % of held-out real images. So a generator that
    draws near everything, because it draws smoothly, is not taken for one that copies.

    Attributes:
        suspect: which generated images (M,) look like copies.
        p: of as many or more by chance (binomial, one-sided).
        ratio: of each generated image (M,): nearest over second nearest distance.
        row: of the training image nearest to each (M,).
    """

    suspect: Tensor
    p: float
    ratio: Tensor
    row: Tensor

    @property
    def copies(self) -> float:
        """Share of generated images that look like copies; about 0.01 if none is one."""
        return float(self.suspect.double().mean())

    @property
    def copier(self) -> bool:
        """Whether chance does not explain the copies."""
        return self.p < 1e-4


def memorization(train: Tensor, held_out: Tensor, generated: Tensor) -> Memorization:
    """Search ``train`` (N, d) for the nearest to every generated (M, d) and held-out image.

    Where copies may be mirrored, too, these two are (M, 2, d): each image and its mirror image, of
    which the nearer counts.
    """
    expect_held_out(len(held_out))
    usual, _ = _ratio(held_out[:HELD_OUT], train)
    usual = usual[usual > 0]  # pictures that are in the training set as well, exactly
    ratio, row = _ratio(generated, train)
    threshold = torch.quantile(usual, SUSPICIOUS) if len(usual) else torch.tensor(1.0)
    suspect = ratio < threshold
    # The threshold is estimated, too: at worst so many of the held-out images are below the true.
    chance = SUSPICIOUS + 3 * (SUSPICIOUS / max(1, len(usual))) ** 0.5
    p = binomtest(int(suspect.sum()), len(ratio), min(chance, 0.5), alternative="greater").pvalue
    return Memorization(suspect, float(p), ratio, row)


def expect_held_out(held_out: int) -> None:
    """Raise InputError if so few held-out images say nothing about what is usual."""
    expect(
        held_out >= 100,
        "To tell copies from new images takes 100 held-out real images or more: there are "
        f"{held_out} in val and test.",
    )


def _ratio(queries: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to the nearest of ``known`` over that to the second nearest, and the nearest's row.

    Exact, and a part of the distances at a time.
    """
    center = known.mean(0)  # matrix products lose less near zero
    queries = (queries if queries.dim() == 3 else queries[:, None]) - center
    ratios, rows = [], []
    for part in tqdm(queries.split(ROWS), "Searching for copies", leave=False, disable=None):
        gaps = torch.full((len(part), 2), torch.inf)
        where = torch.zeros(len(part), 2, dtype=torch.long)
        for start in range(0, len(known), BLOCK):
            block = known[start : start + BLOCK] - center
            # Matrix products find who comes into question; their rounding hides distances near
            # zero, so that these few are measured again without.
            rough = torch.cdist(part.transpose(0, 1), block).amin(0)
            near = rough.topk(min(CANDIDATES, len(block)), dim=1, largest=False).indices
            exact = (part[:, :, None] - block[near][:, None]).norm(dim=3).amin(1)
            gaps, order = torch.cat([gaps, exact], 1).topk(2, dim=1, largest=False)
            where = torch.cat([where, near + start], 1).gather(1, order)
        ratios.append(gaps[:, 0] / gaps[:, 1].clamp_min(1e-12))
        rows.append(where[:, 0])
    return torch.cat(ratios), torch.cat(rows)
