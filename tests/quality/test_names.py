"""Names of scores and the direction in which they improve."""

from facegan.quality.names import METRICS, better, name_of


def test_only_inception_gives_the_names_of_the_field():
    assert [name_of(kind, "inception") for kind in ("fd", "kd", "precision")] == [
        "fid",
        "kid",
        "precision",
    ]
    assert name_of("fd", "cnn") == "fd_cnn"
    assert name_of("swd/16", "cnn") == "swd/16"


NAMES = ("fid", "fd_cnn", "reverse_kl_cnn", "swd/32", "recall_pixels", "msssim")


def test_every_metric_knows_its_better_direction_or_has_none():
    assert [better(name) for name in NAMES] == [
        "min",
        "min",
        "min",
        "min",
        "max",
        None,
    ]
    assert {name_of(metric, "cnn").split("_")[0] for metric in METRICS} == set(METRICS)
