"""Settings of quality: metrics, images and the extractor."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from facegan.errors import InputError
from facegan.quality.names import INCEPTION_NAMES, Metric
from facegan.settings import Count, Seed, Settings, setting

_BY_USUAL_NAME = {usual: own for own, usual in INCEPTION_NAMES.items()}


def _own_names(metrics: Any) -> Any:
    """``fid`` and ``kid`` mean ``fd`` and ``kd``."""
    if not isinstance(metrics, list | tuple):
        return metrics
    return [_BY_USUAL_NAME.get(m, m) if isinstance(m, str) else m for m in metrics]


Metrics = Annotated[Sequence[Metric], BeforeValidator(_own_names), Field(min_length=1)]


class ExtractorSettings(Settings):
    """The network whose features are compared (``facegan/features/extractors.py``)."""

    prefix: ClassVar[str] = "quality.extractor."

    kind: str = setting(
        "pixels",
        "pixels: coarse, but always available; cnn: the label network of this data; inception: "
        "FID and KID; or a torchvision model, like resnet18",
    )
    weights: str | None = setting(
        None, "file of its weights; null: for cnn the network that facegan.classify keeps"
    )
    layer: Literal[64, 192, 768, 2048] | None = setting(
        None, "layer of Inception, by its width; null: 2048, that of the FID"
    )

    @model_validator(mode="after")
    def _fit_the_kind(self) -> "ExtractorSettings":
        if self.layer is not None and self.kind != "inception":
            raise InputError(
                f"{self.key('layer')}={self.layer} is of the Inception network: leave it out, or "
                f"set {self.key('kind')}=inception."
            )
        if self.weights is not None and self.kind == "pixels":
            raise InputError(
                f"{self.key('weights')}={self.weights} is of a network: pixels have none. Leave it "
                f"out, or set {self.key('kind')}."
            )
        return self


class EvaluationExtractorSettings(ExtractorSettings):
    """The extractor of ``facegan.evaluate``."""

    prefix: ClassVar[str] = "extractor."

    kind: str = setting("cnn", "cnn, pixels, inception, or a torchvision model, like resnet18")


class QualitySettings(Settings):
    """How quality is measured during training (``conf/quality``)."""

    prefix: ClassVar[str] = "quality."

    metrics: Metrics = setting(
        ("kd", "prdc"),
        "fd: Fréchet distance; kd: kernel distance; is: Inception Score; prdc: precision, recall, "
        "density, coverage; swd: sliced Wasserstein distance; msssim: similarity of pairs; "
        "prevalence of labels; adherence: whether a network finds what a conditional generator was "
        "asked for; modes: covered by stacked digits, and reverse KL; new: search for copies of "
        "training images; cas: only in facegan.evaluate",
    )
    n: Count = setting(2000, "generated images")
    real: Count | None = setting(10_000, "real images, drawn once from the split; null: all of it")
    split: Literal["train", "val", "test", "all"] = setting(
        "train", "part of the data that real images are from"
    )
    extractor: ExtractorSettings = setting(
        ExtractorSettings(),
        "network whose features are compared",
        form="a mapping (set quality.extractor.kind=cnn)",
    )
    kid_subsets: Count = setting(10, "random subsets of the kernel distance")
    kid_subset_size: Annotated[int, Field(ge=2)] | None = setting(
        None, "images in each of these; null: 1000, or all where there are fewer"
    )
    seed: Seed = setting(0, "seed of latents, and of the choice of images and subsets")


class EvaluationSettings(QualitySettings):
    """How ``facegan.evaluate`` measures: the same keys without prefix, on more images."""

    prefix: ClassVar[str] = ""

    metrics: Metrics = setting(
        ("fd", "kd", "prdc", "swd", "new"),
        "metrics to compute; also is, msssim, prevalence, adherence, cas, modes (papers: n=25600)",
    )
    n: Count = setting(10_000, "generated images; fewer if a folder has fewer pictures")
    real: Count | None = setting(None, "real images, drawn once from the split; null: all of it")
    extractor: EvaluationExtractorSettings = setting(
        EvaluationExtractorSettings(),
        "network whose features are compared",
        form="a mapping (set extractor.kind=cnn)",
    )
    kid_subsets: Count = setting(100, "random subsets of the kernel distance")
