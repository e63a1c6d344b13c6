"""Kernel distance (Bińkowski et al. 2018): with Inception features, the KID. Unbiased."""

import numpy as np
from torch import Tensor

from facegan.errors import expect


def kernel_distance(
    real: Tensor, generated: Tensor, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """Mean and standard deviation of the squared MMD of ``subsets`` random parts of ``size``.

    With the kernel ``(x . y / d + 1)^3``. Subsets are drawn as torch-fidelity draws them, so that
    the same features and seed give the same number.
    """
    expect_enough(min(len(real), len(generated)), size)
    rng = np.random.RandomState(seed)  # torch-fidelity's
    distances = [
        squared_mmd(
            real[rng.choice(len(real), size, replace=False)],
            generated[rng.choice(len(generated), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return float(np.mean(distances)), float(np.std(distances))


def expect_enough(images: int, size: int, prefix: str = "") -> None:
    """Raise InputError if there are fewer images than a subset has; ``prefix`` of the key."""
    expect(
        images >= size,
        f"A kernel distance on subsets of {size} needs as many images, not {images}: "
        f"set {prefix}kid_subset_size={images} or less.",
    )


def squared_mmd(x: Tensor, y: Tensor) -> float:
    """Of as many vectors (m, d) of each kind; unbiased, and so negative at times."""
    x, y = x.double(), y.double()
    m = len(x)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def without_diagonal(k: Tensor) -> Tensor:
        return (k.sum() - k.diagonal().sum()) / (m * (m - 1))

    within = without_diagonal(kernel(x, x)) + without_diagonal(kernel(y, y))
    return float(within - 2 * kernel(x, y).mean())
