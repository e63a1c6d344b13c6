"""Diversity of images: by a classifier's predictions, and by the similarity of pairs."""

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from facegan.quality.metrics.uncertainty import Estimate, group_mean_estimate, groups

KERNEL = 11  # pixels
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # from the finest scale (Wang et al. 2003)


def inception_score(logits: Tensor) -> Estimate:
    """The Inception Score (Salimans et al. 2016): the mean over the tenths of ``logits`` (N, K).

    Between 1 (all images get the same prediction) and the number of classes K.
    """
    scores = []
    for part in groups(len(logits)):
        likelihood = logits[part].double().log_softmax(1)
        share = likelihood.exp()
        information = (share * (likelihood - share.mean(0).log())).sum(1).mean()
        scores.append(float(information.exp()))
    return group_mean_estimate(scores)


def pair_similarities(images: Tensor) -> Tensor:
    """MS-SSIM (N // 2,) of pairs of successive images in [-1, 1] (N, C, H, W); 1: identical.

    If random pairs of generated images are more similar than those of real ones, they are less
    diverse (Odena et al. 2017). Images below 176 pixels have fewer than the usual five scales.
    """
    scales = 1
    size = images.shape[-1]
    # torchmetrics raises for images that do not meet the second condition.
    while scales < len(SCALE_WEIGHTS) and min(size // 2**scales, size // scales**2) >= KERNEL:
        scales += 1
    betas = tuple(beta / sum(SCALE_WEIGHTS[:scales]) for beta in SCALE_WEIGHTS[:scales])
    shown = (images.float() + 1) / 2
    even = len(images) // 2 * 2
    found = [
        multiscale_structural_similarity_index_measure(
            part[::2], part[1::2], data_range=1.0, betas=betas, normalize="relu", reduction="none"
        )
        for part in shown[:even].split(256)
    ]
    return torch.cat([torch.as_tensor(values).reshape(-1) for values in found])
