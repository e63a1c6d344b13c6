"""Probing from Python, with plain objects."""

import json
from pathlib import Path

import pytest
import torch

from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from facegan.files import read_csv
from facegan.gan.gan import GAN
from facegan.pictures import plots
from facegan.probes.curve import probe_checkpoints
from facegan.probes.settings import NetworkSettings, ProbeSettings
from facegan.probes.study import FEATURES, probe, probe_network, study_of

SMALL = {"components": 20, "labels": [20], "bootstrap": 10}


def test_probe_returns_the_scores_it_writes(gan: GAN, faces: Synthetic, tmp_path: Path):
    settings = ProbeSettings(**SMALL, references=["pixels", "majority"], attributes=["Male"])
    results = probe(gan, faces, settings, tmp_path)
    assert list(results) == [FEATURES, "majority", "pixels"]
    rows = read_csv(tmp_path / "scores.csv")
    assert [row["reads"] for row in rows] == list(results)
    assert float(rows[0]["accuracy"]) == results[FEATURES]["Male"]["accuracy"].value
    facts = json.loads((tmp_path / "scores.json").read_text())
    assert (facts["train"], facts["val"], facts["test"]) == (108, 6, 6)


def test_a_network_reference_has_the_size_of_d(gan: GAN, faces: Synthetic, tmp_path: Path):
    settings = ProbeSettings(**SMALL, references=["cnn"], attributes=["Male"])
    results = probe(gan, faces, settings, tmp_path, NetworkSettings(max_epochs=1, width=8))
    assert list(results) == [FEATURES, "cnn"]
    (network,) = tmp_path.glob("cnn_*.ckpt")
    assert network.stat().st_size < 200_000  # of width 4


def test_only_the_chosen_layers_are_read(gan: GAN, faces: Synthetic):
    points = {}
    for layers in ([1], [2], [1, 2], None):
        settings = ProbeSettings(components=20, attributes=["Male"], layers=layers)
        study = study_of(gan, faces, settings)
        points[str(layers)] = study.points(gan.discriminator, "D")
    assert torch.equal(points["[1, 2]"], points["None"])
    assert not torch.equal(points["[1]"], points["None"])
    assert not torch.equal(points["[1]"], points["[2]"])


def test_an_unknown_layer_is_refused_before_the_data_are_packed(gan: GAN, tmp_path: Path):
    data = Synthetic(n=120, image_size=16, data_dir=str(tmp_path / "data"))
    with pytest.raises(InputError, match=r"numbered 1 .* to 2"):
        probe(gan, data, ProbeSettings(layers=[3]), tmp_path)
    assert not (tmp_path / "data").exists()


def test_scores_are_written_before_pictures(
    gan: GAN, faces: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object) -> None:
        raise RuntimeError("no fonts")

    monkeypatch.setattr(plots, "intervals", broken)
    with pytest.raises(RuntimeError, match="no fonts"):
        probe(gan, faces, ProbeSettings(**SMALL, references=[], attributes=["Male"]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"scores.csv", "label_efficiency.csv"}


def test_a_network_of_its_own_needs_no_gan(tmp_path: Path):
    data = Synthetic(n=120, image_size=16, data_dir=str(tmp_path))
    network = NetworkSettings(max_epochs=1, width=4)
    results = probe_network(data, ProbeSettings(**SMALL, probe="cnn"), network=network)
    assert list(results) == ["cnn"]
    assert (data.store.path / "classify" / "scores.csv").is_file()


def test_a_curve_begins_at_the_untrained_discriminator(gan: GAN, faces: Synthetic, tmp_path: Path):
    asked = []

    def agreement(points, labels):
        asked.append((points.shape, list(labels.names)))
        return {"nmi/Male": len(asked) / 10}

    settings = ProbeSettings(**SMALL, attributes=["Male"])
    rows = probe_checkpoints(gan, [], faces, settings, tmp_path, agreement)
    assert [(row["images_seen"], row["nmi/Male"]) for row in rows] == [(0, 0.1)]
    assert asked == [((6, 20), ["Male"])]
    assert float(read_csv(tmp_path / "curve.csv")[0]["accuracy"]) == rows[0]["accuracy"]
