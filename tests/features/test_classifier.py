from pathlib import Path

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from facegan.errors import InputError
from facegan.features.classifier import Classifier, balancing, load_classifier, predict


def attributes(**more) -> Classifier:
    torch.manual_seed(0)
    return Classifier(16, 3, 4, ["Smiling", "Male"], [2, 0], [0.4, 0.5], **more)


def digits(**more) -> Classifier:
    torch.manual_seed(0)
    classes = ["0", "1", "2"]
    return Classifier(16, 1, 4, ["digit"], [0], [0.3, 0.3, 0.4], classes, **more)


def test_a_logit_for_each_attribute_or_class():
    images = torch.rand(5, 3, 16, 16)
    assert attributes()(images).shape == (5, 2)
    probabilities = attributes().probabilities(images)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    network = digits()
    assert network(images[:, :1]).shape == (5, 3)
    assert network.probabilities(images[:, :1]).sum(1).tolist() == pytest.approx([1] * 5)


def test_the_loss_reads_the_columns_of_its_labels(monkeypatch: pytest.MonkeyPatch):
    images = torch.rand(5, 3, 16, 16)
    labels = torch.tensor([[1, 9, 0], [0, 9, 0], [1, 9, 1], [0, 9, 1], [1, 9, 0]])
    network = attributes(weights=[2.0, 1.0])
    monkeypatch.setattr(network, "log", lambda *_, **__: None)
    expected = binary_cross_entropy_with_logits(
        network(images), labels[:, [2, 0]].float(), pos_weight=torch.tensor([2.0, 1.0])
    )
    assert network.training_step((images, labels), 0).item() == pytest.approx(expected.item())
    network = digits()
    monkeypatch.setattr(network, "log", lambda *_, **__: None)
    classes = torch.tensor([[0], [1], [2], [1], [0]])
    expected = cross_entropy(network(images[:, :1]), classes[:, 0])
    assert network.training_step((images[:, :1], classes), 0).item() == pytest.approx(
        expected.item()
    )


def test_predictions_are_attributes_or_one_class():
    logits = torch.tensor([[0.5, -1.0, 2.0], [-1.0, -2.0, -3.0]])
    assert predict(logits, False).tolist() == [[True, False, True], [False, False, False]]
    assert predict(logits, True).tolist() == [[False, False, True], [True, False, False]]


def test_balancing_weighs_rare_values_up_to_tenfold():
    assert balancing(torch.tensor([0.2, 0.5, 0.001]), False).tolist() == pytest.approx([4, 1, 10])
    assert balancing(torch.tensor([0.5, 0.25, 0.25]), True).tolist() == pytest.approx(
        [2 / 3, 4 / 3, 4 / 3]
    )


def test_a_saved_network_is_loaded_as_it_was(tmp_path: Path):
    network = attributes().eval()
    network.seen_prevalence.copy_(torch.tensor([0.1, 0.9]))
    content = {"hyper_parameters": dict(network.hparams), "state_dict": network.state_dict()}
    torch.save(content, tmp_path / "network.ckpt")
    loaded = load_classifier(tmp_path / "network.ckpt", "cpu")
    images = torch.rand(5, 3, 16, 16)
    assert torch.equal(loaded.logits(images), network.logits(images))
    assert loaded.seen_prevalence.tolist() == pytest.approx([0.1, 0.9])
    assert not loaded.training


def test_other_files_are_refused(tmp_path: Path):
    (tmp_path / "other.ckpt").write_text("something else")
    with pytest.raises(InputError, match=r"other.ckpt is not a label classifier"):
        load_classifier(tmp_path / "other.ckpt", "cpu")
