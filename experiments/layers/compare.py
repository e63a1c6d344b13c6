"""Which run's faces are closer to real ones? Fréchet distance of plain pixels, after PCA.

    python experiments/layers/compare.py RUN_DIR RUN_DIR ... --root DIR

A ruler for this comparison only, not FID: it sees colours and coarse shapes, no detail. Real
training images give the 64 principal components, real test images what to be close to; the last
line, real validation images against real test images, is as good as it gets.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from facegan import GAN
from facegan.data.celeba import CelebA
from facegan.gan import read_checkpoint
from facegan.latent import sample_latents
from facegan.media import to_uint8

COMPONENTS, COUNT = 64, 2_000


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Between two sets of features (N, F), taken for Gaussian (Dowson & Landau 1982)."""
    covariances = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    # trace of the square root of a product: the eigenvalues are real and not negative
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(min=0))
    distance = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    return float(distance + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * roots.sum())


def flat(images: torch.Tensor) -> np.ndarray:
    return images.flatten(1).double().numpy() / 255


def real(data: CelebA, split: str, count: int) -> np.ndarray:
    return flat(next(iter(data.loader(split, batch_size=count, limit=count)))[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--root", required=True, help="dataset.root of the runs")
    parser.add_argument("--data-dir", default="data")
    options = parser.parse_args()

    models = {run: GAN.load_from_checkpoint(read_checkpoint(run)["path"]) for run in options.runs}
    size = next(iter(models.values())).hp.image_size
    data = CelebA(root=options.root, data_dir=options.data_dir, image_size=size)
    train, val, test = (
        real(data, split, count)
        for split, count in (("train", 10_000), ("val", COUNT), ("test", COUNT))
    )
    mean = train.mean(axis=0)
    components = np.linalg.svd(train - mean, full_matrices=False)[2][:COMPONENTS].T

    print("| | parameters of G, D | images seen | Fréchet distance |\n|---|---:|---:|---:|")
    for run, model in models.items():
        z = sample_latents(COUNT, model.hp.latent_dim, seed=1)
        fake = flat(to_uint8(model.sample(z)))
        score = frechet((fake - mean) @ components, (test - mean) @ components)
        sizes = [sum(p.numel() for p in net.parameters()) for net in
                 (model.generator, model.discriminator)]  # fmt: skip
        print(f"| {run.name} | {sizes[0]:,}, {sizes[1]:,} | {model.images_seen:,} | {score:.2f} |")
    print(f"| real | | | {frechet((val - mean) @ components, (test - mean) @ components):.2f} |")


if __name__ == "__main__":
    main()
