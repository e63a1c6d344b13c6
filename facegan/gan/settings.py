"""The model's hyper-parameters: values and combinations that can be trained."""

from collections.abc import Sequence
from typing import Any

from facegan.errors import expect, expect_int, expect_list, expect_number, expect_one_of
from facegan.gan.augment import POLICIES
from facegan.gan.losses import LOSSES


def _pair(name: str, values: Sequence[float]) -> tuple[float, float]:
    pair = isinstance(values, (list, tuple)) and len(values) == 2
    expect(pair, f"{name} must be two numbers in brackets, like [0.5,0.999], not {values!r}.")
    for value in values:
        expect_number(name, value, low=0, high=0.999999)
    return float(values[0]), float(values[1])  # Adam takes no mixture of int and float


def _penalties(hp: Any) -> list[str]:
    """The keys that ask for a gradient penalty."""
    weights = {"gp_weight": _gp_weight(hp), "r1_gamma": hp.r1_gamma, "r2_gamma": hp.r2_gamma}
    return [name for name, weight in weights.items() if weight > 0]


def _gp_weight(hp: Any) -> float:
    if hp.gp_weight is None:
        return 10.0 if hp.loss == "wgan-gp" else 0.0
    return hp.gp_weight


def _check(hp: Any) -> None:
    """Refuse values and combinations that cannot be trained, before any network exists."""
    expect_int("dataset.channels", hp.channels, at_least=1)
    for name in ("latent_dim", "width_g", "width_d", "penalty_every", "accumulate"):
        expect_int(f"model.{name}", hp[name], at_least=1)
    for name in ("lr_g", "lr_d"):
        expect_number(f"model.{name}", hp[name], low=1e-12)
    for name in ("r1_gamma", "r2_gamma", "ema_half_life", "ema_ramp"):
        expect_number(f"model.{name}", hp[name], low=0)
    if hp.gp_weight is not None:
        expect_number("model.gp_weight", hp.gp_weight, low=0)
    for name in ("spectral_norm", "compile", "cuda_graphs"):
        expect_one_of(f"model.{name}", hp[name], (True, False))
    if hp.clip is not None:
        expect_number("model.clip", hp.clip, low=1e-12)
    expect_int("seed", hp.seed, at_least=0)
    expect_one_of("model.loss", hp.loss, tuple(LOSSES))
    expect_list("model.augment", hp.augment, "[color,translation]")
    for name in hp.augment:
        expect_one_of("model.augment", name, tuple(POLICIES))
    expect_number("model.label_smoothing", hp.label_smoothing, low=0, high=0.5)
    expect(
        hp.label_smoothing == 0 or hp.loss == "bce",
        f"model.label_smoothing={hp.label_smoothing} belongs to model.loss=bce; "
        f"set it to 0 for model.loss={hp.loss}.",
    )
    expect(
        hp.penalty_every == 1 or hp.r1_gamma > 0 or hp.r2_gamma > 0,
        f"model.penalty_every={hp.penalty_every} has nothing to space out: "
        "set model.r1_gamma or model.r2_gamma, or leave it at 1.",
    )
    penalties = _penalties(hp)
    expect(
        not (penalties and hp.norm_d == "batch"),
        f"Gradient penalties (model.{', model.'.join(penalties)}) need each image's own gradient, "
        "which BatchNorm in D mixes with its batch's: set model.norm_d=group or model.norm_d=none.",
    )
    expect(
        not (penalties and hp.compile),
        f"Gradient penalties (model.{', model.'.join(penalties)}) differentiate D twice, which "
        "torch.compile does not support: set model.compile=false.",
    )
