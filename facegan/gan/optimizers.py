"""Adam of both networks, and one update of either."""

from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer

from facegan.gan.settings import GANSettings


def adam_settings(settings: GANSettings, device: torch.device) -> tuple[dict[str, Any], ...]:
    """Arguments of ``torch.optim.Adam`` on ``device``: of D's and of G's."""
    s, kind = settings, device.type
    fast = {"fused": kind in ("cuda", "cpu", "mps", "xpu"), "capturable": kind == "cuda"}
    of_d, of_g = {"lr": s.lr_d, "betas": s.betas_d}, {"lr": s.lr_g, "betas": s.betas_g}
    return of_d | fast, of_g | fast


def update(optimizer: LightningOptimizer, batches: int, clip: float | None) -> None:
    """One step by the mean gradient of ``batches``, of norm ``clip`` at most."""
    parameters = optimizer.param_groups[0]["params"]
    if batches > 1:
        for parameter in parameters:
            parameter.grad /= batches
    if clip is not None:
        # Not Lightning's: it refuses fused optimizers in bf16, where nothing is scaled.
        torch.nn.utils.clip_grad_norm_(parameters, clip)
    optimizer.step()
