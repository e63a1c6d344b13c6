from typing import Any

import pytest

from facegan.clusters.settings import ClusterSettings
from facegan.errors import InputError


@pytest.mark.parametrize(
    ("setting", "value"),
    [("k", 0), ("k", 2.5), ("space", "faces"), ("components", 0), ("n", 1), ("generated", -1),
     ("split", "all")],
)  # fmt: skip
def test_settings_are_checked(setting: str, value: object):
    with pytest.raises(InputError, match=f"clustering.{setting}"):
        ClusterSettings(**{setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("space", "attributes", "clustered", "kept"),
    [("auto", None, "features", 32), ("auto", ["Male"], "probe", 1024),
     ("probe", None, "probe", 1024), ("features", ["Male"], "features", 32),
     ("pixels", ["Male"], "pixels", 32)],
)  # fmt: skip
def test_chosen_attributes_are_probed_unless_another_space_is_asked_for(
    space: Any, attributes: Any, clustered: str, kept: int
):
    settings = ClusterSettings(space=space, attributes=attributes)
    assert (settings.clustered, settings.kept) == (clustered, kept)
    assert settings.reads_features == (space != "pixels")


def test_layers_are_for_features_alone():
    with pytest.raises(InputError, match=r"clustering.layers is for clustering.space=features"):
        ClusterSettings(space="pixels", layers=[1])
