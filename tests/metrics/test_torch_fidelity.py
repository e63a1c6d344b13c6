"""The same features give the numbers that torch-fidelity gives."""

import numpy as np
import pytest
import torch

from facegan.extractors import extractor
from facegan.metrics.diversity import inception_scores
from facegan.metrics.frechet import frechet_distance, moments
from facegan.metrics.kernel import kernel_distance
from facegan.metrics.manifold import manifold

pytest.importorskip("torch_fidelity")

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
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-3)


def test_inception_score():
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * MADE[:, :10]
    theirs = isc_features_to_metric(logits, splits=10, shuffle=False)
    ours = np.mean(inception_scores(logits))
    assert ours == pytest.approx(theirs["inception_score_mean"], rel=1e-6)


def test_precision_and_recall():
    from torch_fidelity.metric_prc import prc_features_to_metric

    theirs = prc_features_to_metric(MADE, REAL, verbose=False)  # generated first
    ours = manifold(REAL, MADE)
    assert float(ours.precision.mean()) == pytest.approx(theirs["precision"], abs=1e-3)
    assert float(ours.recall.mean()) == pytest.approx(theirs["recall"], abs=1e-3)


@pytest.mark.slow
def test_inception_with_the_same_weights_gives_the_same_features(tmp_path, monkeypatch):
    from torch_fidelity import feature_extractor_inceptionv3 as module

    with monkeypatch.context() as patch:  # random ones: there may be no network
        patch.setattr(module, "load_state_dict_from_url", lambda *a, **k: {})
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *a, **k: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    read = extractor("inception", str(path))
    shown = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        theirs = network.eval()(shown)[0]
        ours = read.read(shown / 127.5 - 1)
    assert torch.allclose(read.features(ours), theirs, atol=1e-5)
    assert read.logits(ours).shape == (4, 1008)
