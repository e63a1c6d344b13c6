"""facegan: train a DCGAN on faces, and see what its discriminator has learned."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["GAN", "Discriminator", "Generator", "__version__"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `python -m facegan.train --help` need not wait for torch.
    if name == "GAN":
        from facegan.gan import GAN

        return GAN
    if name in ("Generator", "Discriminator"):
        from facegan import networks

        return getattr(networks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
