"""The same features give the numbers that torch-fidelity gives."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from facegan.features.extractors import load_extractor
from facegan.quality.metrics.diversity import inception_score
from facegan.quality.metrics.frechet import frechet_distance, moments
from facegan.quality.metrics.kernel import kernel_distance
from facegan.quality.metrics.manifold import manifold

pytest.importorskip("torch_fidelity")

AGAINST = Path(__file__).parents[3] / "experiments" / "quality" / "against_torch_fidelity.py"
REAL = torch.randn(400, 32, generator=torch.Generator().manual_seed(0))
MADE = 1.2 * torch.randn(300, 32, generator=torch.Generator().manual_seed(1)) + 0.2


def test_frechet_distance():
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = (fid_features_to_statistics(features) for features in (REAL, MADE))
    theirs = fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    ours = frechet_distance(moments([REAL]), moments([MADE]))
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_kernel_distance():
    from torch_fidelity.metric_kid import kid_features_to_metric

    theirs = kid_features_to_metric(
        REAL, MADE, kid_subsets=10, kid_subset_size=200, rng_seed=2020, verbose=False
    )
    mean, deviation = kernel_distance(REAL, MADE, subsets=10, size=200, seed=2020)
    assert mean.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-3)


def test_inception_score():
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * MADE[:, :10]
    theirs = isc_features_to_metric(logits, splits=10, shuffle=False)
    ours = inception_score(logits).value
    assert ours == pytest.approx(theirs["inception_score_mean"], rel=1e-6)


def test_precision_and_recall():
    from torch_fidelity.metric_prc import prc_features_to_metric

    theirs = prc_features_to_metric(MADE, REAL, verbose=False)  # generated first
    ours = manifold(REAL, MADE)
    assert ours["precision"].value == pytest.approx(theirs["precision"], abs=1e-3)
    assert ours["recall"].value == pytest.approx(theirs["recall"], abs=1e-3)


@pytest.mark.slow
def test_inception_with_the_same_weights_gives_the_same_features(tmp_path):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = runpy.run_path(str(AGAINST))["random_weights"](tmp_path / "weights.pth")
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
    )
    read = load_extractor("inception", str(path))
    shown = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        theirs = network.eval()(shown)[0]
    ours = read.read(shown / 127.5 - 1)
    assert torch.allclose(ours.features, theirs, atol=1e-5)
    assert ours.logits.shape == (4, 1008)


@pytest.mark.slow
def test_the_command_lines_agree_on_the_same_pictures_and_weights():
    command = [sys.executable, str(AGAINST), "--layer", "64", "--n", "80"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split("|")[1:-1] for line in said.splitlines() if line.startswith("| ")][1:]
    values = {name.strip(): [float(value) for value in rest] for name, *rest in rows}
    assert values.keys() == {"fd", "kd", "precision", "recall"}
    for ours, theirs, difference in values.values():
        assert min(ours, theirs) > 0
        assert difference < 1e-3
