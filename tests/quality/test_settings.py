"""Settings of quality: the user's grammar, in training and in facegan.evaluate."""

import pytest

from facegan.errors import InputError
from facegan.quality.settings import EvaluationSettings, QualitySettings


def test_evaluate_measures_more_than_training():
    training, evaluation = QualitySettings(), EvaluationSettings()
    assert (training.n, evaluation.n) == (2000, 10_000)
    assert (training.real, evaluation.real) == (10_000, None)
    assert (training.extractor.kind, evaluation.extractor.kind) == ("pixels", "cnn")


def test_the_usual_names_of_metrics_are_accepted():
    assert list(QualitySettings(metrics=["fid", "kid", "prdc"]).metrics) == ["fd", "kd", "prdc"]


@pytest.mark.parametrize(
    ("settings", "prefix"), [(QualitySettings, "quality."), (EvaluationSettings, "")]
)
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"metrics": ["kdd"]}, "{}metrics must be a list of fd, kd, is, prdc"),
        ({"metrics": []}, "{}metrics must be a list of fd"),
        ({"n": 0}, "{}n must be a whole number of at least 1, not 0"),
        ({"kid_subset_size": 1}, "{}kid_subset_size must be a whole number of at least 2"),
        ({"split": "valid"}, "{}split must be one of train, val, test, all, not 'valid'"),
        ({"extractor": "cnn"}, "(set {}extractor.kind=cnn)"),
        ({"extractor": {"kind": 3}}, "{}extractor.kind must be text, not 3"),
        (
            {"extractor": {"kin": "cnn"}},
            "no setting {}extractor.kin; did you mean {}extractor.kin",
        ),
        (
            {"extractor": {"kind": "pixels", "layer": 64}},
            "{}extractor.layer=64 is of the Inception network",
        ),
        (
            {"extractor": {"kind": "inception", "layer": 65}},
            "{}extractor.layer must be one of 64, 192, 768, 2048 or null, not 65",
        ),
        (
            {"extractor": {"kind": "pixels", "weights": "X"}},
            "{}extractor.weights=X is of a network: pixels have none",
        ),
    ],
)
def test_a_wrong_value_is_named_as_it_is_typed(settings, prefix, values, sentence):
    with pytest.raises(InputError) as error:
        settings(**values)
    start = sentence.replace("{}", prefix)
    assert start in str(error.value)
    if not sentence.startswith(("no", "(")):
        assert str(error.value).startswith(start)
