"""Search for generated images that are copies of training images."""

from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import Tensor
from tqdm import tqdm

from facegan.errors import InputError

QUERY_ROWS, TRAIN_ROWS = 512, 8192  # of distances held at a time
CANDIDATES = 8  # of a block, whose distances are computed exactly
HELD_OUT = 2000  # held-out images at most
SUSPICIOUS = 0.01  # share of held-out images with a ratio below the threshold
SIGNIFICANCE = 1e-4  # of the binomial test, below which a generator is called a copier
FEWEST_HELD_OUT = 100  # images that a threshold is estimated from


@dataclass(frozen=True)
class Memorization:
    """Which generated images look like copies of a training image.

    An image looks like a copy if one training image is much nearer to it than the second nearest:
    if the ratio of these two distances is below that of 99 % of held-out real images. So a
    generator of smooth images, which are near everything, is not mistaken for a copier.

    Attributes:
        suspect: which generated images (M,) look like copies.
        p: probability of as many or more by chance (binomial test, one-sided).
        ratio: of each generated image (M,): nearest over second nearest distance.
        row: row of ``train`` nearest to each (M,).
    """

    suspect: Tensor
    p: float
    ratio: Tensor
    row: Tensor

    @property
    def copies(self) -> float:
        """Share of generated images that look like copies; about 0.01 if none is."""
        return float(self.suspect.double().mean())

    @property
    def copier(self) -> bool:
        """Whether there are more suspects than chance explains."""
        return self.p < SIGNIFICANCE


def memorization(train: Tensor, held_out: Tensor, generated: Tensor) -> Memorization:
    """Search ``train`` (N, d) for the nearest to every generated (M, d) and held-out image (K, d).

    Where copies may be mirrored, these two are (M, 2, d) and (K, 2, d): each image and its mirror
    image, of which the nearer counts. Raises InputError for too few held-out images.
    """
    expect_held_out(len(held_out))
    real_ratio, _ = _ratio(held_out[:HELD_OUT], train)
    real_ratio = real_ratio[real_ratio > 0]  # 0: exact duplicates of training images
    ratio, row = _ratio(generated, train)
    threshold = torch.quantile(real_ratio, SUSPICIOUS) if len(real_ratio) else torch.tensor(1.0)
    suspect = ratio < threshold
    # The threshold is an estimate: three standard errors on the safe side.
    chance = SUSPICIOUS + 3 * (SUSPICIOUS / max(1, len(real_ratio))) ** 0.5
    p = binomtest(int(suspect.sum()), len(ratio), min(chance, 0.5), alternative="greater").pvalue
    return Memorization(suspect, float(p), ratio, row)


def expect_held_out(held_out: int) -> None:
    """Raise InputError if ``held_out`` images are too few to estimate the threshold from."""
    if held_out < FEWEST_HELD_OUT:
        raise InputError(
            f"To tell copies from new images takes {FEWEST_HELD_OUT} held-out real images or more: "
            f"there are {held_out} in val and test."
        )


def _ratio(queries: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Distance to the nearest of ``train`` over that to the second nearest, and the nearest's row.

    Exact, with a part of the distances in memory at a time.
    """
    center = train.mean(0)  # matrix products round less near zero
    queries = (queries if queries.dim() == 3 else queries[:, None]) - center
    ratios, rows = [], []
    for part in tqdm(queries.split(QUERY_ROWS), "Searching for copies", leave=False, disable=None):
        gaps = torch.full((len(part), 2), torch.inf)
        where = torch.zeros(len(part), 2, dtype=torch.long)
        for start in range(0, len(train), TRAIN_ROWS):
            block = train[start : start + TRAIN_ROWS] - center
            # Matrix products find the candidates; as their rounding hides distances near zero, the
            # candidates' are computed again without them.
            rough = torch.cdist(part.transpose(0, 1), block).amin(0)
            near = rough.topk(min(CANDIDATES, len(block)), dim=1, largest=False).indices
            exact = (part[:, :, None] - block[near][:, None]).norm(dim=3).amin(1)
            gaps, order = torch.cat([gaps, exact], 1).topk(2, dim=1, largest=False)
            where = torch.cat([where, near + start], 1).gather(1, order)
        ratios.append(gaps[:, 0] / gaps[:, 1].clamp_min(1e-12))
        rows.append(where[:, 0])
    return torch.cat(ratios), torch.cat(rows)
