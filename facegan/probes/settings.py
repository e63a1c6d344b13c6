"""Settings of probes, of the label network, and of labelling."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from facegan.errors import InputError
from facegan.settings import Count, PathName, Seed, Settings, setting


class ProbeSettings(Settings):
    """What is predicted, from which features, and the references (``conf/classify.yaml``)."""

    prefix: ClassVar[str] = "classify."

    probe: Literal["logistic", "svm", "cnn"] = setting(
        "logistic",
        "logistic regression; svm: the L2-SVM of the DCGAN paper; cnn: a network trained end to "
        "end, kept beside the packed images",
    )
    attributes: Sequence[str] | None = setting(
        None, "labels to predict; null: all", example="[Smiling,Eyeglasses]"
    )
    references: Sequence[Literal["majority", "pixels", "untrained", "cnn"]] = setting(
        ("majority", "pixels", "untrained", "cnn"),
        "what the probe is compared with: the most frequent value, the same probe on pixels and on "
        "an untrained discriminator, a network of D's size trained end to end",
    )
    labels: Sequence[Annotated[int, Field(ge=2)]] = setting(
        (100, 1000, 10_000),
        "smaller numbers of labelled training images to fit to, too",
        form="a list like [100,1000] of whole numbers of at least 2",
    )
    components: Count = setting(1024, "principal components of the features that a probe reads")
    layers: Sequence[int] | None = setting(
        None, "layers of the discriminator, from 1 at the image; null: all", example="[3,4]"
    )
    bootstrap: Annotated[int, Field(ge=2)] = setting(
        200, "bootstrapped test sets behind the 95 % intervals"
    )
    curve: bool = setting(
        False, "instead: probe every checkpoint of the run, and an untrained network"
    )
    seed: Seed = setting(0, "seed of row order, bootstrap and training", key="seed")

    @model_validator(mode="after")
    def _curve_needs_a_linear_probe(self) -> "ProbeSettings":
        if self.curve and self.probe == "cnn":
            raise InputError(
                "classify.curve=true follows the discriminator, which classify.probe=cnn does not "
                "read: choose logistic or svm."
            )
        return self


class NetworkSettings(Settings):
    """How the label network is trained, or which one is used."""

    prefix: ClassVar[str] = "cnn."

    max_epochs: Count = setting(10, "largest number of epochs")
    patience: Count = setting(2, "stop after this many epochs without a lower loss on val")
    lr: float = setting(1e-3, "learning rate of AdamW", gt=0)
    weighting: Literal["none", "balanced"] = setting(
        "none", "balanced: rare values count as much as frequent ones in the loss"
    )
    width: Count = setting(
        64, "feature maps of the first layer; a reference has those of the discriminator"
    )
    batch_size: Count = setting(64, "images per batch; fewer where there are fewer to train on")
    ckpt: PathName | None = setting(
        None, "file of a network to use; null: that of this data, trained if there is none"
    )


class LabellingSettings(Settings):
    """What is labelled instead of probing."""

    label: PathName | None = setting(
        None, "instead: predict the attributes of a directory of pictures, or of a generator (ckpt)"
    )
    n: Count = setting(2000, "number of images to generate if label is a generator")
