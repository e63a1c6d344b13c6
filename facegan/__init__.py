"""facegan: train a DCGAN on faces, and see what its discriminator has learned.

>>> import facegan
>>> gan = facegan.load_gan("runs/celeba/TIME")  # doctest: +SKIP
>>> images = gan.sample(facegan.sample_latents(16, gan.settings.latent_dim, seed=7))
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["GAN", "Discriminator", "Generator", "__version__", "load_gan", "sample_latents"]

_PUBLIC = {
    "GAN": "facegan.gan.gan",
    "Discriminator": "facegan.networks.dcgan",
    "Generator": "facegan.networks.dcgan",
    "load_gan": "facegan.gan.checkpoint",
    "sample_latents": "facegan.gan.latents",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `python -m facegan.train --help` must not wait for torch.
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
