"""What the two players minimise. Pure functions of logits: no sigmoid appears before a loss.

Each adversarial loss is a pair, L_D(real, fake) and L_G(fake, real), of logits of shape (N,);
only the relativistic one looks at ``real`` in L_G. The penalties return one value per batch and
leave their weights to the caller.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(NamedTuple):
    """``relativistic``: L_G needs the logits of real images, which are ``None`` otherwise."""

    d: Callable[[Tensor, Tensor], Tensor]
    g: Callable[[Tensor, Any], Tensor]
    relativistic: bool = False


LOSSES = {
    # Non-saturating GAN (Goodfellow et al. 2014): BCE on logits is softplus.
    "bce": AdversarialLoss(
        d=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        g=lambda fake, real: F.softplus(-fake).mean(),
    ),
    # Least squares (Mao et al. 2017), labels 0 and 1.
    "lsgan": AdversarialLoss(
        d=lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        g=lambda fake, real: (fake - 1).square().mean() / 2,
    ),
    # Hinge (Lim & Ye 2017, Miyato et al. 2018).
    "hinge": AdversarialLoss(
        d=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        g=lambda fake, real: -fake.mean(),
    ),
    # Wasserstein (Arjovsky et al. 2017); its gradient penalty is gradient_penalty below.
    "wgan-gp": AdversarialLoss(
        d=lambda real, fake: fake.mean() - real.mean(),
        g=lambda fake, real: -fake.mean(),
    ),
    # Relativistic pairing (Jolicoeur-Martineau 2018), the loss of R3GAN (Huang et al. 2024).
    "rpgan": AdversarialLoss(
        d=lambda real, fake: F.softplus(fake - real).mean(),
        g=lambda fake, real: F.softplus(real - fake).mean(),
        relativistic=True,
    ),
}


def smoothed_bce(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """``bce``'s L_D with real labels 1 - smoothing: one-sided, as Salimans et al. 2016 advise."""
    target = torch.full_like(real, 1 - smoothing)
    return F.binary_cross_entropy_with_logits(real, target) + F.softplus(fake).mean()


def squared_gradient_norm(D: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Mean over the batch of ``||grad_x D(x)||^2``: half of it is R1 on real, R2 on fake images.

    Mescheder et al. 2018. Computed in float32 whatever autocast says: squares of small
    gradients vanish in half precision.
    """
    return _image_gradients(D, images).square().sum(dim=1).mean()


def gradient_penalty(D: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """``(||grad_x D(x)|| - 1)^2`` between real and fake images (WGAN-GP, Gulrajani et al. 2017)."""
    t = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    norms = _image_gradients(D, torch.lerp(real, fake.to(real.dtype), t)).norm(dim=1)
    return (norms - 1).square().mean()


def _image_gradients(D: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """d D(x) / d x, flattened to (N, C*H*W), still differentiable with respect to D's weights."""
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        images = images.detach().float().requires_grad_(True)
        (gradients,) = torch.autograd.grad(D(images).sum(), images, create_graph=True)
    return gradients.flatten(1)
