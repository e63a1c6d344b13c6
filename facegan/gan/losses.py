"""What the two networks minimise: pure functions of logits, which no sigmoid precedes.

Each adversarial loss is a pair, L_D(real, fake) and L_G(fake, real), of logits of shape (N,);
only the relativistic L_G depends on ``real``. The penalties return one value per batch; their
weights are left to the caller.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(NamedTuple):
    """L_D and L_G; ``real`` is None for ``g`` unless the loss is ``relativistic``."""

    d: Callable[[Tensor, Tensor], Tensor]
    g: Callable[[Tensor, Any], Tensor]
    relativistic: bool = False


def bce_d(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy (Goodfellow et al. 2014): on logits it is softplus."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def bce_g(fake: Tensor, real: None) -> Tensor:
    """The non-saturating form."""
    return F.softplus(-fake).mean()


def lsgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares (Mao et al. 2017), labels 0 and 1."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def lsgan_g(fake: Tensor, real: None) -> Tensor:
    return (fake - 1).square().mean() / 2


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge (Lim & Ye 2017, Miyato et al. 2018)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def critic_g(fake: Tensor, real: None) -> Tensor:
    """The generator's part of both hinge and Wasserstein."""
    return -fake.mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """Wasserstein (Arjovsky et al. 2017), to be used with :func:`gradient_penalty`."""
    return fake.mean() - real.mean()


def rpgan_d(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing (Jolicoeur-Martineau 2018), the loss of R3GAN (Huang et al. 2024)."""
    return F.softplus(fake - real).mean()


def rpgan_g(fake: Tensor, real: Tensor) -> Tensor:
    return F.softplus(real - fake).mean()


LOSSES = {
    "bce": AdversarialLoss(bce_d, bce_g),
    "lsgan": AdversarialLoss(lsgan_d, lsgan_g),
    "hinge": AdversarialLoss(hinge_d, critic_g),
    "wgan-gp": AdversarialLoss(wasserstein_d, critic_g),
    "rpgan": AdversarialLoss(rpgan_d, rpgan_g, relativistic=True),
}


def smoothed_bce(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """``bce_d`` with real labels ``1 - smoothing``: one-sided (Salimans et al. 2016)."""
    target = torch.full_like(real, 1 - smoothing)
    return F.binary_cross_entropy_with_logits(real, target) + F.softplus(fake).mean()


def squared_gradient_norm(D: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Mean over the batch of ``||grad_x D(x)||^2``: half of it is R1 on real, R2 on fake images.

    Mescheder et al. 2018. Computed in float32 also under autocast: squares of small gradients
    underflow in half precision.
    """
    return _image_gradients(D, images).square().sum(dim=1).mean()


def gradient_penalty(D: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """``(||grad_x D(x)|| - 1)^2`` between real and fake images (WGAN-GP, Gulrajani et al. 2017)."""
    t = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    norms = _image_gradients(D, torch.lerp(real, fake.to(real.dtype), t)).norm(dim=1)
    return (norms - 1).square().mean()


def _image_gradients(D: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """d D(x) / d x, flattened to (N, C*H*W), differentiable with respect to D's weights."""
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        images = images.detach().float().requires_grad_(True)
        (gradients,) = torch.autograd.grad(D(images).sum(), images, create_graph=True)
    return gradients.flatten(1)
