"""What is clustered, and how."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from facegan.errors import InputError
from facegan.settings import Count, Seed, Settings, setting


class ClusterSettings(Settings):
    """Settings of one clustering (``conf/clustering``)."""

    prefix: ClassVar[str] = "clustering."

    k: Count = setting(10, "number of clusters")
    space: Literal["features", "pixels", "attributes"] = setting(
        "features", "what is clustered: the discriminator's features, pixels, or the label columns"
    )
    attributes: Sequence[str] | None = setting(
        None,
        "labels to report, with their combination; null: all",
        example="[Smiling,Eyeglasses]",
    )
    layers: Sequence[int] | None = setting(
        None, "layers of the discriminator, from 1 at the image; null: all", example="[3,4]"
    )
    components: Count = setting(32, "principal components that are kept")
    n: Annotated[int, Field(ge=2)] | None = setting(
        4000, "images, drawn once from the split; null: all of it"
    )
    split: Literal["train", "val", "test"] = setting(
        "train", "part of the data they are drawn from"
    )
    generated: int = setting(1000, "generated images that are assigned, too", ge=0)
    seed: Seed = setting(0, "of the choice of images and of k-means")

    @model_validator(mode="after")
    def _layers_need_features(self) -> "ClusterSettings":
        if self.layers is not None and self.space != "features":
            raise InputError(
                f"clustering.layers is for clustering.space=features, not for {self.space}."
            )
        return self
