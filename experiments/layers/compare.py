"""Which run's faces are closer to real ones? Fréchet distance of plain pixels, after PCA.

    python experiments/layers/compare.py RUN_DIR RUN_DIR ... --root DIR

A ruler for this comparison only, not FID: it sees colours and coarse shapes, no detail. Real
training images give the 64 principal components, real test images what to be close to; the last
line, real validation images against real test images, is as good as it gets.
"""

import argparse
from pathlib import Path

import torch

from facegan.data.sources.celeba import CelebA
from facegan.gan.checkpoint import load_gan
from facegan.gan.latents import sample_latents
from facegan.pictures.scaling import to_uint8
from facegan.quality.metrics.frechet import frechet_distance, moments

COMPONENTS, COUNT = 64, 2_000


def flat(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as vectors of values in [0, 1]."""
    return images.flatten(1).double() / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--root", required=True, help="dataset.root of the runs")
    parser.add_argument("--data-dir", default="data")
    options = parser.parse_args()

    models = {run: load_gan(run, "cpu") for run in options.runs}
    size = next(iter(models.values())).settings.image_size
    data = CelebA(root=options.root, data_dir=options.data_dir, image_size=size)
    train, val, test = (
        flat(data.raw_images(data.store.rows(split)[:count]))
        for split, count in (("train", 10_000), ("val", COUNT), ("test", COUNT))
    )
    mean = train.mean(0)
    components = torch.linalg.svd(train - mean, full_matrices=False).Vh[:COMPONENTS].T

    def distance_to_test(images: torch.Tensor) -> float:
        ours, theirs = (moments([(part - mean) @ components]) for part in (images, test))
        return frechet_distance(ours, theirs)

    print("| | parameters of G, D | images seen | Fréchet distance |\n|---|---:|---:|---:|")
    for run, model in models.items():
        fake = flat(
            to_uint8(model.sample(sample_latents(COUNT, model.settings.latent_dim, seed=1)))
        )
        sizes = [
            sum(weights.numel() for weights in network.parameters())
            for network in (model.generator, model.discriminator)
        ]
        print(
            f"| {run.name} | {sizes[0]:,}, {sizes[1]:,} | {model.images_seen:,} | "
            f"{distance_to_test(fake):.2f} |"
        )
    print(f"| real | | | {distance_to_test(val):.2f} |")


if __name__ == "__main__":
    main()
