"""The two networks of DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434), for any size.

The paper's 64 x 64 networks are ``base * 2**blocks = 4 * 2**4``, and so for every other size: the
generator projects z to ``base x base`` and doubles it ``blocks`` times; the discriminator halves
the image ``blocks`` times and ends in one ``base x base`` convolution.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as with_spectral_norm

from facegan.errors import InputError
from facegan.networks import winograd
from facegan.settings import Count, checked

Norm = Literal["batch", "group", "none"]
POOLED = 4  # features are max-pooled to 4 x 4, as in section 5.1 of the paper
LARGE, LARGE_WIDTH = 128, 512  # above this size, a layer has at most so many maps
UNLIMITED = 1 << 16
EMBEDDING, PROJECTION = 100, 128  # elements of a condition in G, and in D's last layer


def default_blocks(image_size: int) -> int:
    """How often ``image_size`` halves before it reaches DCGAN's base of 4 to 7 pixels.

    28 = 7 * 2**2, 32 = 4 * 2**3, 64 = 4 * 2**4, 128 = 4 * 2**5. Raises InputError for a size
    that is not ``base * 2**blocks`` with at least two blocks.
    """
    checked("dataset.image_size", image_size, Annotated[int, Field(ge=16)])
    blocks = int(math.log2(image_size / 4))
    if image_size % 2**blocks == 0:
        return blocks
    sizes = sorted(base * 2**n for base in (4, 5, 6, 7) for n in range(2, 9))
    near = sorted(sorted(sizes, key=lambda size: abs(size - image_size))[:2])
    raise InputError(
        f"dataset.image_size={image_size} is not a valid DCGAN size (4 to 7 times a power of two); "
        f"the nearest are {near[0]} and {near[1]}, the usual ones 28, 32, 64 and 128."
    )


def base_size(image_size: int, blocks: int) -> int:
    """Side of the smallest feature map, ``image_size / 2**blocks``: whole, and at least 2."""
    checked("model.blocks", blocks, Count)
    base, rest = divmod(image_size, 2**blocks)
    if rest or base < 2:
        raise InputError(
            f"model.blocks={blocks} does not fit dataset.image_size={image_size}, which must be a "
            f"multiple of {2**blocks} and at least {2 * 2**blocks}; model.blocks=null chooses the "
            "number from the size."
        )
    return base


def feature_maps(image_size: int, width: int, blocks: int, max_width: int | None) -> list[int]:
    """Maps after each of D's layers: they double from ``width`` up to ``max_width``.

    ``None``: up to 512 above 128 px, as most code has it, and without a limit below. Doubling on,
    1024 px take 8192 maps and more than a billion weights.
    """
    if max_width is None:
        max_width = LARGE_WIDTH if image_size > LARGE else UNLIMITED
    return [max(width, min(width * 2**number, max_width)) for number in range(blocks)]


def init_weights(module: nn.Module) -> None:
    """Paper's initialisation: convolutions N(0, 0.02), norms N(1, 0.02), every bias 0."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class Generator(nn.Sequential):
    """G: latents (N, latent_dim) to images (N, channels, image_size, image_size) in [-1, 1].

    Transposed convolutions, BatchNorm and ReLU in all layers but the last, which ends in tanh.
    ``width`` is the number of feature maps before the last layer (128 in the paper, at 64 x 64);
    it doubles towards the latents, up to ``max_width`` (:func:`feature_maps`). ``fast``: see
    :class:`facegan.networks.winograd.Conv2d`.

    With ``conditions``, it also takes vectors (N, conditions): their linear embedding, at first a
    tenth of the latents in length, is appended to these. A longer one takes their place: images of
    a condition become alike (experiments/conditions).
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        latent_dim: int = 100,
        width: int = 64,
        blocks: int | None = None,
        fast: bool = True,
        conditions: int = 0,
        max_width: int | None = None,
    ) -> None:
        blocks = default_blocks(image_size) if blocks is None else blocks
        base = base_size(image_size, blocks)
        maps = feature_maps(image_size, width, blocks, max_width)[::-1]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        latent_dim += EMBEDDING if conditions else 0
        layers["unflatten"] = nn.Unflatten(1, (latent_dim, 1, 1))
        layers["project"] = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, maps[0], base, bias=False),
            nn.BatchNorm2d(maps[0]),
            nn.ReLU(inplace=True),
        )
        for number, (wide, narrow) in enumerate(pairwise(maps), start=1):
            layers[f"up{number}"] = nn.Sequential(
                winograd.ConvTranspose2d(wide, narrow, bias=False, fast=fast),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            )
        image = winograd.ConvTranspose2d(maps[-1], channels, fast=fast)
        layers["image"] = nn.Sequential(image, nn.Tanh())
        super().__init__(layers)
        self.apply(init_weights)
        self.embed: nn.Linear | None = None
        if conditions:
            self.embed = nn.Linear(conditions, EMBEDDING, bias=False)
            nn.init.normal_(self.embed.weight, std=conditions**-0.5 / 10)

    def forward(self, z: Tensor, conditions: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat([z, self.embed(conditions)], 1)
        for name, layer in self.named_children():
            if name != "embed":
                z = layer(z)
        return z


class Discriminator(nn.Module):
    """D: images (N, channels, image_size, image_size) in [-1, 1] to logits (N,), real > 0 > fake.

    Strided convolutions with LeakyReLU 0.2, and no normalisation in the first layer, as in the
    paper. No sigmoid: the losses take logits.

    ``norm``: ``batch`` as in the paper; ``group`` (16 maps a group) or ``none`` where a gradient
    penalty needs each image's own gradient. ``spectral_norm``: Miyato et al. 2018. ``fast``: see
    :class:`facegan.networks.winograd.Conv2d`.

    With ``conditions``, logits of images with vectors (N, conditions) have a second term, the
    product of both embeddings (projection discriminator, Miyato & Koyama 2018).
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        width: int = 64,
        blocks: int | None = None,
        norm: str = "batch",
        spectral_norm: bool = False,
        fast: bool = True,
        conditions: int = 0,
        max_width: int | None = None,
    ) -> None:
        super().__init__()
        checked("model.norm_d", norm, Norm)
        blocks = default_blocks(image_size) if blocks is None else blocks
        base = base_size(image_size, blocks)
        maps = feature_maps(image_size, width, blocks, max_width)
        self.layers = nn.Sequential()
        for number, (before, after) in enumerate(zip([channels, *maps], maps, strict=False)):
            plain = number == 0 or norm == "none"
            conv = winograd.Conv2d(before, after, bias=plain, fast=fast)
            normalise = [] if plain else [_norm(norm, after)]
            self.layers.append(nn.Sequential(conv, *normalise, nn.LeakyReLU(0.2, inplace=True)))
        self.logit = nn.Conv2d(maps[-1], 1 + (PROJECTION if conditions else 0), base)
        self.apply(init_weights)
        self.project: nn.Linear | None = None
        if conditions:
            self.project = nn.Linear(conditions, PROJECTION, bias=False)
            nn.init.normal_(self.project.weight, std=conditions**-0.5)
        if spectral_norm:
            for module in list(self.modules()):
                if isinstance(module, nn.Conv2d | nn.Linear):
                    with_spectral_norm(module)
        sides = [image_size // 2 ** (number + 1) for number in range(blocks)]
        self.num_features = sum(
            count * min(side, POOLED) ** 2 for count, side in zip(maps, sides, strict=True)
        )

    def forward(self, images: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Logits (N,) of ``images``, given their ``conditions`` if there are any."""
        outputs = self.logit(self.layers(images)).flatten(1)
        logits = outputs[:, 0]
        if self.project is None or conditions is None:
            return logits
        projected = outputs[:, 1:] * self.project(conditions)
        return logits + projected.sum(1) * PROJECTION**-0.5

    def forward_features(self, images: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Features (N, num_features): every layer's output, max-pooled to 4 x 4 and flattened.

        Those of the paper's section 5.1, for k-means and linear classifiers. ``layers``: only
        these, numbered from 1 at the image.
        """
        chosen = range(1, len(self.layers) + 1) if layers is None else layers
        features, hidden = [], images
        for number, layer in enumerate(self.layers[: max(chosen)], start=1):
            hidden = layer(hidden)
            if number in chosen:
                features.append(_pooled(hidden).flatten(1))
        return torch.cat(features, dim=1)


def build_dcgan(settings: Any, conditions: int = 0) -> tuple[Generator, Discriminator]:
    """G and D of the settings of a GAN (:class:`facegan.gan.settings.GANSettings`)."""
    s = settings
    shape = (s.image_size, s.channels)
    G = Generator(*shape, s.latent_dim, s.width_g, s.blocks, s.winograd, conditions, s.max_width)
    D = Discriminator(
        *shape, s.width_d, s.blocks, s.norm_d, s.spectral_norm, s.winograd, conditions, s.max_width
    )
    return G, D


def _pooled(maps: Tensor) -> Tensor:
    side = min(maps.shape[-1], POOLED)
    if maps.device.type == "mps":  # wrong there where sides do not divide (pytorch issue 190064)
        return F.adaptive_max_pool2d(maps.cpu(), side).to(maps.device)
    return F.adaptive_max_pool2d(maps, side)


def _norm(kind: str, maps: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(maps)
    return nn.GroupNorm(math.gcd(maps, max(1, maps // 16)), maps)
