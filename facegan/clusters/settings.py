"""Settings of a clustering."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from facegan.errors import InputError
from facegan.settings import Count, Seed, Settings, setting


class ClusterSettings(Settings):
    """Settings of one clustering (``conf/clustering``)."""

    prefix: ClassVar[str] = "clustering."

    k: Count = setting(10, "number of clusters; fewer where fewer points differ")
    space: Literal["features", "pixels", "attributes"] = setting(
        "features", "what is clustered: discriminator features, pixels, or label columns"
    )
    attributes: Sequence[str] | None = setting(
        None,
        "labels to report, and their combination; null: all labels",
        example="[Smiling,Eyeglasses]",
    )
    layers: Sequence[int] | None = setting(
        None, "discriminator layers, numbered from 1 at the image; null: all", example="[3,4]"
    )
    components: Count = setting(32, "principal components to keep")
    n: Annotated[int, Field(ge=2)] | None = setting(
        4000, "images, drawn once from the split; null: the whole split"
    )
    split: Literal["train", "val", "test"] = setting("train", "split the images are drawn from")
    generated: int = setting(1000, "generated images to assign to the clusters", ge=0)
    seed: Seed = setting(0, "of the drawn images, the latents and k-means")

    @model_validator(mode="after")
    def _layers_need_features(self) -> "ClusterSettings":
        if self.layers is not None and self.space != "features":
            raise InputError(
                f"clustering.layers is for clustering.space=features, not for {self.space}."
            )
        return self
