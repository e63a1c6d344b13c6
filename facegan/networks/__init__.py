"""The networks, by the name of their architecture."""

from collections.abc import Callable
from typing import Any

from facegan.networks import dcgan

# model.backbone -> function from the model's settings to the pair (generator, discriminator)
BACKBONES: dict[str, Callable[[Any], tuple[dcgan.Generator, dcgan.Discriminator]]] = {
    "dcgan": dcgan.build
}
