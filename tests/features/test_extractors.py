"""Feature extractors: what they read, and which label network is found."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from facegan.errors import InputError
from facegan.features.classifier import Classifier
from facegan.features.extractors import (
    Extractor,
    Inception,
    Output,
    find_label_network,
    load_extractor,
)
from facegan.networks.weights import weights_key


def save(network: Classifier, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"state_dict": network.state_dict(), "hyper_parameters": dict(network.hparams)}
    torch.save(content, path)
    return path


def label_network(width: int = 4, names: tuple[str, ...] = ("Smiling", "Male")) -> Classifier:
    return Classifier(16, 3, width, list(names), [0, 1], [0.5, 0.5])


class Halves(Extractor):
    """The left half of the pixels as features, the rest as two logits."""

    def __init__(self) -> None:
        super().__init__("halves", "key", num_logits=2)

    def forward(self, images: Tensor) -> Output:
        flat = images.flatten(1)
        return Output(flat[:, :-2], flat[:, -2:])


def test_packed_outputs_are_unpacked_again():
    images = torch.arange(12.0).reshape(2, 1, 2, 3)
    extractor = Halves()
    output = extractor.read(images)
    packed = output.packed()
    assert packed.shape == (2, 6)
    again = extractor.unpack(packed)
    assert torch.equal(again.features, output.features)
    assert torch.equal(again.logits, output.logits)


def test_pixels_are_features_without_logits():
    extractor = load_extractor("pixels")
    output = extractor.read(torch.ones(2, 3, 32, 32))
    assert output.logits is None
    assert torch.equal(output.features, torch.ones(2, 768))
    assert extractor.unpack(output.packed()).logits is None


def test_a_label_network_gives_its_logits_and_the_layer_before(tmp_path: Path):
    network = label_network().eval()
    extractor = load_extractor("cnn", str(save(network, tmp_path / "network.ckpt")))
    images = torch.rand(3, 3, 16, 16)
    output = extractor.read(images)
    assert torch.allclose(output.logits, network.logits(images), atol=1e-6)
    assert torch.allclose(output.features, network.network.layers(images).mean((2, 3)), atol=1e-6)
    assert not output.features.requires_grad
    assert extractor.key == weights_key(network)
    assert (extractor.labels, extractor.multiclass) == (("Smiling", "Male"), False)
    assert extractor.image_shape == (3, 16)


def test_inception_reads_bytes_in_colour_and_is_named_by_its_layer():
    class Network(nn.Module):
        fc = nn.Linear(1, 1008)

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            assert images.dtype == torch.uint8
            assert images.shape[1] == 3
            mean = images.float().mean((2, 3))
            return mean, torch.zeros(len(images), 1008)

    last = Inception(Network(), 2048)
    assert (last.name, last.num_logits, last.multiclass) == ("inception", 1008, True)
    assert torch.equal(last.read(torch.ones(2, 1, 8, 8)).features, torch.full((2, 3), 255.0))
    early = Inception(Network(), 64)
    assert (early.name, early.num_logits, early.multiclass) == ("inception_64", 0, False)


@pytest.mark.slow
def test_a_torchvision_model_is_read_before_its_last_layer(tmp_path: Path):
    from torchvision.models import resnet18

    torch.save(resnet18(weights=None).state_dict(), tmp_path / "weights.pt")
    extractor = load_extractor("resnet18", str(tmp_path / "weights.pt"))
    assert extractor.read(torch.rand(2, 1, 16, 16)).features.shape == (2, 512)
    with pytest.raises(InputError, match="weights of resnet18 cannot be loaded"):
        load_extractor("resnet18", str(tmp_path / "none.pt"))


def test_the_label_network_of_the_same_labels_is_found(tmp_path: Path):
    names = ["Smiling", "Male"]
    with pytest.raises(InputError, match="no network yet that predicts Smiling, Male of store"):
        find_label_network(tmp_path / "store", names, "extractor.weights")
    networks = tmp_path / "store" / "networks"
    save(label_network(names=("Young", "Male")), networks / "other.ckpt")
    path = save(label_network(), networks / "own.ckpt")
    assert find_label_network(tmp_path / "store", names, "extractor.weights") == path


def test_the_widest_of_older_networks_of_several_widths_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    networks = tmp_path / "networks"
    for number, width in enumerate((4, 8, 2)):
        save(label_network(width), networks / f"{number}.ckpt")
    with caplog.at_level(logging.INFO, "facegan"):
        found = find_label_network(tmp_path, ["Smiling", "Male"], "extractor.weights")
    assert found == networks / "1.ckpt"
    assert f"Of 3 label networks, the widest is used: {found}" in caplog.text


def test_several_networks_of_the_same_width_are_ambiguous(tmp_path: Path):
    path = save(label_network(), tmp_path / "networks" / "a.ckpt")
    shutil.copy(path, path.with_name("b.ckpt"))
    with pytest.raises(InputError, match=r"a\.ckpt, .*b\.ckpt with extractor\.weights=FILE"):
        find_label_network(tmp_path, ["Smiling", "Male"], "extractor.weights")
