"""facegan: train a DCGAN on faces, and see what its discriminator has learned."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["GAN", "Discriminator", "Generator", "__version__"]

_PUBLIC = {
    "GAN": "facegan.gan.gan",
    "Discriminator": "facegan.networks.dcgan",
    "Generator": "facegan.networks.dcgan",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `python -m facegan.train --help` need not wait for torch.
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
