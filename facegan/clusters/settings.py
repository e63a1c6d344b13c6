"""Settings of a clustering."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from facegan.errors import InputError
from facegan.settings import Count, Seed, Settings, setting

USUAL_K = 10  # where no attributes say how many clusters they need
USUAL_COMPONENTS = 32  # for k-means; a probe can use many more
PROBED_COMPONENTS = 1024


class ClusterSettings(Settings):
    """Settings of one clustering (``conf/clustering``)."""

    prefix: ClassVar[str] = "clustering."

    k: Count | None = setting(
        None,
        f"number of clusters, fewer where fewer points differ; null: {USUAL_K}, or as many as the "
        "chosen attributes have frequent combinations",
    )
    space: Literal["auto", "probe", "features", "pixels", "attributes"] = setting(
        "auto",
        "what is clustered: probabilities of the attributes, which linear probes read from "
        "discriminator features; these features; pixels; label columns; auto: probe where "
        "attributes are chosen, else features",
    )
    attributes: Sequence[str] | None = setting(
        None,
        "labels to report with their combination, and to cluster by; null: all labels",
        example="[Smiling,Eyeglasses]",
    )
    layers: Sequence[int] | None = setting(
        None, "discriminator layers, numbered from 1 at the image; null: all", example="[3,4]"
    )
    components: Count | None = setting(
        None,
        f"principal components to keep; null: {USUAL_COMPONENTS}, or {PROBED_COMPONENTS} for "
        "probes to read",
    )
    n: Annotated[int, Field(ge=2)] | None = setting(
        4000,
        "images to read, drawn once; space=probe fits its probes to half of them or more; null: "
        "the whole split, and up to 8,000 training images to fit probes to",
    )
    split: Literal["train", "val", "test"] | None = setting(
        None, "split the clustered images are drawn from; null: train, or val for space=probe"
    )
    generated: int = setting(1000, "generated images to assign to the clusters", ge=0)
    seed: Seed = setting(0, "of the drawn images, the latents and k-means")

    @property
    def clustered(self) -> str:
        """What is clustered: ``space``, with ``auto`` decided."""
        if self.space != "auto":
            return self.space
        return "features" if self.attributes is None else "probe"

    @property
    def kept(self) -> int:
        """The number of principal components: ``components``, with ``null`` decided."""
        usual = PROBED_COMPONENTS if self.clustered == "probe" else USUAL_COMPONENTS
        return self.components or usual

    @property
    def reads_features(self) -> bool:
        """Whether the discriminator's features are read."""
        return self.clustered in ("features", "probe")

    @model_validator(mode="after")
    def _layers_need_features(self) -> "ClusterSettings":
        if self.layers is not None and not self.reads_features:
            raise InputError(
                "clustering.layers is for clustering.space=features or probe, not for "
                f"{self.space}."
            )
        return self
