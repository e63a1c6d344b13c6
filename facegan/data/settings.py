"""Settings of the data: where they are, and how they are prepared and batched."""

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from facegan.errors import InputError
from facegan.settings import Count, Seed, Settings, setting


def _name(default: str) -> Any:
    return setting(
        default,
        "name of the data set, and the first part of its store's name",
        pattern=r"^\w[\w.-]*$",
        form="letters, digits, '.', '_' and '-'",
    )


def _crop(default: int | None, meaning: str) -> Any:
    return setting(default, meaning, ge=8)


class DataSettings(Settings):
    """Settings that every data set has (``conf/dataset``)."""

    prefix: ClassVar[str] = "dataset."

    name: str = _name("images")
    data_dir: str = setting(
        "data", "directory of packed data sets", key="data_dir", form="a directory", min_length=1
    )
    image_size: int = setting(64, "side of the square images in pixels", ge=8, le=1024)
    channels: Literal[3, 1] = setting(3, "3: colour, 1: grey")
    batch_size: Count = setting(64, "images per training batch on each device")
    global_batch_size: Count | None = setting(
        None, "instead of batch_size: images per training batch on all devices together"
    )
    flip: bool = setting(True, "mirror half of the training images, chosen at random")
    limit: Count | None = setting(None, "largest number of training images; null: all")
    max_bad_fraction: float = setting(
        0.01, "largest share of unreadable pictures, which are left out", ge=0, le=1
    )
    seed: Seed = setting(0, "seed of the order of the training images", key="seed")


class CelebASettings(DataSettings):
    """Settings of CelebA."""

    name: str = _name("celeba")
    root: str | None = setting(
        None, "directory with CelebA in any common layout; null: DATA_DIR/celeba", form="a path"
    )
    download: Literal["kaggle"] | None = setting(
        None, "kaggle: download CelebA with kagglehub if it is not in root"
    )
    crop: int = _crop(178, "side in pixels of the centre square of 178 x 218; 108: the face alone")


class FolderSettings(DataSettings):
    """Settings of a folder of pictures."""

    name: str = _name("folder")
    root: str | None = setting(
        None, "directory with pictures in it or below; null: DATA_DIR/folder", form="a path"
    )
    labels: bool = setting(True, "names of the folders in root are labels; false: no labels")
    crop: int | None = _crop(
        None, "side in pixels of the centre square that is kept; null: the shorter side"
    )


STACKED = 3  # digits in an image of Stacked MNIST


class MNISTSettings(DataSettings):
    """Settings of MNIST."""

    name: str = _name("mnist")
    root: str | None = setting(
        None,
        "directory with the idx files; null: DATA_DIR/mnist, downloaded if not there",
        form="a path",
    )
    image_size: Literal[28, 32, 64] = setting(
        32,
        "28: the digits unchanged; 32: padded with black; 64: padded and resized",
        form="one of 28, 32, 64 for MNIST",
    )
    stacked: bool = setting(
        False, "Stacked MNIST: three digits as the channels of a colour image, 1,000 modes"
    )
    channels: Literal[3, 1] = setting(1, "follows from stacked: 1 for grey digits, 3 for stacked")
    flip: bool = setting(False, "must be false: mirrored digits are not digits")

    @model_validator(mode="before")
    @classmethod
    def _stacked_digits(cls, values: Any) -> Any:
        if values.get("stacked") is not True:
            return values
        return {"name": "stacked_mnist", "channels": STACKED} | values

    @model_validator(mode="after")
    def _channels_follow(self) -> "MNISTSettings":
        expected = STACKED if self.stacked else 1
        if self.channels != expected:
            raise InputError(
                f"dataset.channels must be {expected} with dataset.stacked="
                f"{str(self.stacked).lower()}, not {self.channels}: leave it out, it follows."
            )
        return self

    @model_validator(mode="after")
    def _digits_are_not_mirrored(self) -> "MNISTSettings":
        if self.flip:
            raise InputError(
                "dataset.flip must be false for MNIST: mirrored digits are not digits."
            )
        return self


class SyntheticSettings(DataSettings):
    """Settings of the drawn faces."""

    name: str = _name("synthetic")
    n: Count = setting(20_000, "number of faces; a smaller n gives the first of a larger one")
    draw_seed: Seed = setting(0, "seed of the faces; not seed, so that all runs share them")
    image_size: int = setting(32, "side of the square images in pixels", ge=8, le=1024)
    channels: Literal[3] = setting(3, "drawn faces are coloured", form="3 for drawn faces")


KINDS: dict[str, type[DataSettings]] = {  # by the option of dataset=
    "celeba": CelebASettings,
    "folder": FolderSettings,
    "mnist": MNISTSettings,
    "synthetic": SyntheticSettings,
}
SHAPING = ("crop", "stacked")  # fields that change how a picture looks, beside size and channels


def source_keys() -> set[str]:
    """Keys of where one kind of data comes from, which another kind does not have."""
    own = {
        settings.key(name)
        for settings in KINDS.values()
        for name in settings.model_fields
        if name not in DataSettings.model_fields
    }
    return own | {DataSettings.key("max_bad_fraction")}
