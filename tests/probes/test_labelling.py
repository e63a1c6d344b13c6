from pathlib import Path

import pytest
import torch

from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from facegan.features.classifier import Classifier
from facegan.files import read_csv
from facegan.gan.gan import GAN
from facegan.probes.labelling import label_generated, label_pictures


@pytest.fixture
def network() -> Classifier:
    torch.manual_seed(0)
    return Classifier(16, 3, 4, ["Smiling", "Male"], [0, 1], [0.4, 0.5]).eval()


def test_a_row_for_each_picture_and_the_share_of_each_attribute(
    network: Classifier, faces: Synthetic, tmp_path: Path
):
    network.seen_prevalence.copy_(torch.tensor([0.25, 0.75]))
    predicted = label_pictures(network, faces, tmp_path)
    assert predicted.shape == (120, 2)
    rows = read_csv(tmp_path / "labels.csv")
    assert [row["name"] for row in rows] == faces.store.names
    assert [row["Male"] for row in rows] == [str(int(value)) for value in predicted[:, 1]]
    first, second = read_csv(tmp_path / "prevalence.csv")
    assert float(first["pictures"]) == pytest.approx(predicted[:, 0].mean(), abs=1e-4)
    assert (first["real"], second["real"]) == ("0.2500", "0.7500")
    assert (first["labelled"], second["labelled"]) == ("0.4000", "0.5000")


def test_generated_images_are_those_of_the_seed(network: Classifier, gan: GAN, tmp_path: Path):
    few = label_generated(network, gan, 5, 3, tmp_path)
    more = label_generated(network, gan, 9, 3, tmp_path)
    assert (few == more[:5]).all()
    assert [row["name"] for row in read_csv(tmp_path / "labels.csv")][-1] == "000008"


def test_a_generator_of_another_size_is_refused(network: Classifier, tmp_path: Path):
    larger = GAN(image_size=32, latent_dim=8, width_g=4, width_d=4, cuda_graphs=False)
    with pytest.raises(InputError, match=r"draws 32 px with 3 channels.*reads 16 px with 3"):
        label_generated(network, larger, 5, 0, tmp_path)
    assert not list(tmp_path.iterdir())
