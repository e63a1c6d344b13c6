"""Settings of the model and of sampling: values and combinations that work."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from facegan.errors import InputError
from facegan.settings import Count, Seed, Settings, setting

Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[
    tuple[Beta, Beta], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)
]
STEP_METRICS = ("loss/d", "loss/g", "score/real", "score/fake")  # of every batch
BETAS_FORM = "two numbers from 0 to below 1, like [0.5,0.999]"


class GANSettings(Settings):
    """Hyper-parameters of a GAN (``conf/model``), saved in its checkpoints.

    The defaults are those of DCGAN (Radford et al. 2016, arXiv:1511.06434).
    """

    prefix: ClassVar[str] = "model."

    backbone: Literal["dcgan"] = setting("dcgan", "architecture of both networks")
    image_size: Count = setting(64, "side of the images, in pixels", key="dataset.image_size")
    channels: Count = setting(3, "1: grey images, 3: RGB", key="dataset.channels")
    latent_dim: Count = setting(100, "length of a latent vector")
    width_g: Count = setting(64, "feature maps before the generator's last layer")
    width_d: Count = setting(64, "feature maps after the discriminator's first layer")
    blocks: Count | None = setting(
        None, "strided layers in each network; null: from the image size (64 px: 4)"
    )
    max_width: Count | None = setting(
        None, "most feature maps of a layer; null: 512 above 128 px, no limit up to it"
    )
    norm_d: Literal["batch", "group", "none"] = setting(
        "batch", "normalisation in the discriminator; a gradient penalty needs group or none"
    )
    spectral_norm: bool = setting(False, "spectral normalisation in the discriminator")
    loss: Literal["bce", "lsgan", "hinge", "wgan-gp", "rpgan"] = setting("bce", "adversarial loss")
    label_smoothing: float = setting(0.0, "for bce: real labels are 1 minus this", ge=0, le=0.5)
    gp_weight: Annotated[float, Field(ge=0)] | None = setting(
        None, "weight of WGAN-GP's gradient penalty; null: 10 for wgan-gp, 0 for other losses"
    )
    r1_gamma: float = setting(
        0.0, "weight of the R1 penalty, gamma / 2 * ||grad D||^2 on real images", ge=0
    )
    r2_gamma: float = setting(0.0, "weight of the R2 penalty, the same on generated images", ge=0)
    penalty_every: Count = setting(
        1, "R1 and R2 only at every n-th update, with n times the weight"
    )
    augment: Sequence[Literal["color", "translation", "cutout"]] = setting(
        [], "DiffAugment: random changes of the images that the discriminator receives"
    )
    lr_g: float = setting(2e-4, "the generator's learning rate", gt=0)
    lr_d: float = setting(2e-4, "the discriminator's learning rate", gt=0)
    betas_g: Betas = setting((0.5, 0.999), "the generator's Adam coefficients", form=BETAS_FORM)
    betas_d: Betas = setting((0.5, 0.999), "the discriminator's Adam coefficients", form=BETAS_FORM)
    accumulate: Count = setting(1, "batches per update")
    clip: Annotated[float, Field(gt=0)] | None = setting(
        None, "largest gradient norm of each network; null: no clipping"
    )
    ema_half_life: float = setting(
        10_000, "half-life of the averaged generator, in images; 0: no averaging", ge=0
    )
    ema_ramp: float = setting(
        0.05, "upper limit of the half-life, as a share of the images seen; 0: no limit", ge=0
    )
    compile: bool = setting(False, "torch.compile both networks during training")
    cuda_graphs: bool = setting(
        True, "on a single NVIDIA GPU, launch all kernels of a training step at once"
    )
    winograd: bool = setting(
        True, "on a CPU, Winograd's algorithm for wide convolutions; false: PyTorch's"
    )
    seed: Seed = setting(0, "of the latents", key="seed")

    @property
    def gradient_penalty_weight(self) -> float:
        """``gp_weight``, or its default for this loss."""
        if self.gp_weight is None:
            return 10.0 if self.loss == "wgan-gp" else 0.0
        return self.gp_weight

    @property
    def penalties(self) -> list[str]:
        """Names of the gradient penalties in use."""
        weights = {
            "gp_weight": self.gradient_penalty_weight,
            "r1_gamma": self.r1_gamma,
            "r2_gamma": self.r2_gamma,
        }
        return [name for name, weight in weights.items() if weight > 0]

    @model_validator(mode="after")
    def _combinations(self) -> "GANSettings":
        if self.label_smoothing > 0 and self.loss != "bce":
            raise InputError(
                f"model.label_smoothing={self.label_smoothing} belongs to model.loss=bce; "
                f"set it to 0 for model.loss={self.loss}."
            )
        if self.penalty_every > 1 and not (self.r1_gamma > 0 or self.r2_gamma > 0):
            raise InputError(
                f"model.penalty_every={self.penalty_every} needs an R1 or R2 penalty: "
                "set model.r1_gamma or model.r2_gamma, or leave it at 1."
            )
        penalties = f"Gradient penalties (model.{', model.'.join(self.penalties)})"
        if self.penalties and self.norm_d == "batch":
            raise InputError(
                f"{penalties} need each image's own gradient, which BatchNorm in D mixes with its "
                "batch's: set model.norm_d=group or model.norm_d=none."
            )
        if self.penalties and self.compile:
            raise InputError(
                f"{penalties} differentiate D twice, which torch.compile does not support: "
                "set model.compile=false."
            )
        return self


class ConditionSettings(Settings):
    """What the networks are conditioned on (``conf/condition``)."""

    prefix: ClassVar[str] = "condition."

    kind: Literal["none", "classes", "attributes", "clusters"] = setting(
        "none",
        "nothing, the classes of one label, many attributes, or clusters of D's features",
        key="condition",
    )
    names: Sequence[str] | None = setting(
        None,
        "attributes: which labels (null: all of two values); classes: which one",
        example="[Male,Smiling]",
    )
    k: Count | None = setting(
        None, "clusters: how many; null: one for 400 training images, 2 to 100"
    )
    recluster: Sequence[Annotated[int, Field(ge=0)]] | None = setting(
        None,
        "clusters: after which epochs images are clustered anew; null: 0, 1, 2, 4, 8 and so on",
        example="[0,1,2,4]",
    )


class SampleSettings(Settings):
    """What ``facegan.sample`` generates (``conf/sample.yaml``)."""

    n: Count = setting(64, "number of images")
    seed: Seed = setting(0, "of the latents; image i of a seed is always the same")
    truncation: Annotated[float, Field(ge=0.01)] | None = setting(
        None, "latents cut to [-t, t]: smaller is more typical and less varied; null: not cut"
    )
    cluster: int | None = setting(
        None, "of a generator trained with condition=clusters: which one to draw", ge=0
    )
    grid: bool = setting(True, "also grid.png of the first 64")
    format: Literal["png", "npz"] = setting(
        "png", "png: single pictures; npz: one array 'images', uint8 (N, H, W, C)"
    )
    batch_size: Count = setting(64, "images held in memory at a time; it does not change them")
