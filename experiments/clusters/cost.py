"""What clustering costs: seconds, as a share of an epoch of 20,000 images, and memory.

    python experiments/clusters/cost.py [--n 4000 20000 200000] [--image-size 64] [--space probe]

Each number of images is clustered in a process of its own, on drawn faces (repeated where there
are more than 20,000 of them), with untrained networks: the work is the same. Probes of three
attributes are fitted to half of the images.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from facegan.clusters import report as cluster_report
from facegan.clusters.analysis import analyse
from facegan.clusters.map import embed
from facegan.clusters.points import read_points
from facegan.clusters.selection import Selection
from facegan.clusters.settings import USUAL_K, ClusterSettings
from facegan.data.labels import Labels
from facegan.data.sources.synthetic import Synthetic
from facegan.gan.gan import GAN
from facegan.training.memory import keep_freed_memory

FACES, EPOCH = 20_000, 20_000
PROBED = ["Smiling", "Eyeglasses", "Male"]


class Repeated:
    """A data module whose rows begin anew after the last."""

    name = "repeated"

    def __init__(self, data: Synthetic) -> None:
        self.data, self.store = data, data.store

    def images(self, rows: np.ndarray, device: object = "cpu") -> torch.Tensor:
        return self.data.images(rows % FACES)

    def raw_images(self, rows: np.ndarray) -> torch.Tensor:
        return self.data.raw_images(rows % FACES)

    def subset(self, split: str, n: int | None = None, seed: int = 0) -> np.ndarray:
        return self.data.subset(split, n, seed)


def seconds_of_an_epoch(gan: GAN, data: Synthetic, steps: int = 6) -> float:
    """From some training steps, without the first two."""
    optimizers = gan.configure_optimizers()
    rows = np.arange(64)
    for step in range(steps + 2):
        if step == 2:
            began = time.perf_counter()
        real = data.images(rows)
        fake = gan.generator(torch.randn(64, gan.settings.latent_dim))
        optimizers[0].zero_grad()
        gan.loss_d(real, fake.detach())[0].backward()
        optimizers[0].step()
        gan.discriminator.requires_grad_(False)
        optimizers[1].zero_grad()
        gan.loss_g(fake, real).backward()
        optimizers[1].step()
        gan.discriminator.requires_grad_(True)
    return (time.perf_counter() - began) / steps * EPOCH / 64


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(n: int, size: int, space: str, folder: str) -> None:
    keep_freed_memory()
    data = Synthetic(n=FACES, image_size=size, data_dir=folder)
    repeated = Repeated(data)
    gan = GAN(image_size=size)
    epoch = seconds_of_an_epoch(gan, data)
    before, began = peak_mib(), time.perf_counter()
    settings = ClusterSettings(n=n, space=space)
    rows = np.random.default_rng(0).permutation(n)
    fitted, rows = np.split(rows, [n // 2 if space == "probe" else 0])
    names = PROBED if space == "probe" else data.label_names
    columns = [data.label_names.index(name) for name in names]

    def labels(rows: np.ndarray) -> Labels:
        values = data.store.labels[rows % FACES][:, columns].astype(np.int64)
        return Labels(values, names, combined=space == "probe")

    selection = Selection(rows, labels(rows), fitted, labels(fitted), "train", USUAL_K)
    points = read_points(settings, repeated, gan, selection)
    read = time.perf_counter() - began
    result = analyse(points.real, selection, generated=points.generated)
    clustered = time.perf_counter() - began - read
    cluster_report.sheet(result, lambda i: repeated.raw_images(rows[i]), points.images_of)
    layout = embed(result.points[: cluster_report.MAPPED])
    cluster_report.attribute_map(result, layout)
    whole = time.perf_counter() - began
    print(
        f"| {n:,} | {read:.1f} | {clustered:.1f} | {whole - read - clustered:.1f} | {whole:.1f} | "
        f"{whole / epoch:.1%} | {max(0, peak_mib() - before):.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=[4000, 20_000])
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--space", default="features", choices=["features", "probe"])
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        measure(options.n[0], options.image_size, options.space, options.folder)
        return
    print("| images | reading s | k-means s | drawing s | all s | of an epoch | more memory MiB |")
    print("|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        Synthetic(n=FACES, image_size=options.image_size, data_dir=folder).prepare_data()
        for n in options.n:
            kind = ["--image-size", str(options.image_size), "--space", options.space]
            command = [sys.executable, str(Path(__file__)), "--n", str(n), *kind]
            subprocess.run([*command, "--folder", folder], check=True)


if __name__ == "__main__":
    main()
