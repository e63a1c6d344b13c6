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


def test_layers_are_for_features_alone():
    with pytest.raises(InputError, match=r"clustering.layers is for clustering.space=features"):
        ClusterSettings(space="pixels", layers=[1])
