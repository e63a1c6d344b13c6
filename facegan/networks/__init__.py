"""The networks, by the name of their architecture.

A backbone is a function from the model's settings, and the length of a condition's vector, to a
generator and a discriminator. The generator turns latents (N, latent_dim), and vectors of
conditions where there are some, into images (N, channels, image_size, image_size) in [-1, 1]; what
the discriminator has to offer is :class:`FeatureDiscriminator`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from facegan.networks import dcgan


class FeatureDiscriminator(Protocol):
    """What clusters, probes and the GAN use of a discriminator, whatever its architecture."""

    layers: nn.Sequential  # from the image to the last feature maps
    num_features: int  # columns of forward_features

    def __call__(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Logits (N,) of images in [-1, 1], given ``conditions`` (N, c): positive for real."""
        ...

    def forward_features(self, images: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Pooled maps (N, d) of ``layers``, numbered from 1 at the image; ``None``: of all."""
        ...


Backbone = Callable[[Any, int], tuple[nn.Module, nn.Module]]

BACKBONES: dict[str, Backbone] = {"dcgan": dcgan.build_dcgan}
