"""What a reference set reads and measures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facegan.data.sources.mnist import MNIST
from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from facegan.features.classifier import Classifier
from facegan.quality.measuring import check_asked
from facegan.quality.metrics.adherence import Asked
from facegan.quality.reference import ReferenceSet
from facegan.quality.scores import QualityResult, SimilarityScore
from facegan.quality.settings import QualitySettings
from tests.data.fakes import write_mnist

NUMBERS = np.arange(60)


def settings(**values) -> QualitySettings:
    return QualitySettings(
        **{"n": len(NUMBERS), "real": None, "metrics": ["kd"], "kid_subset_size": 40} | values
    )


def measured(reference: ReferenceSet, images_of=None) -> QualityResult:
    """Of real images as if they were generated, unless ``images_of`` says otherwise."""
    images_of = images_of or reference.data.images
    return reference.scores(reference.vectors(images_of, NUMBERS), images_of, NUMBERS)


def noise(numbers: np.ndarray) -> torch.Tensor:
    return torch.rand(len(numbers), 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def saved_network(data: Synthetic, path: Path, classes: list[str] | None = None) -> Path:
    """An untrained network for the labels of ``data``, or for ``classes``."""
    names = data.label_names if classes is None else ["kind"]
    torch.manual_seed(0)
    heads = len(classes or names)
    network = Classifier(16, 3, 4, names, list(range(len(names))), [0.5] * heads, classes=classes)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"state_dict": network.state_dict(), "hyper_parameters": dict(network.hparams)}
    torch.save(content, path)
    return path


def test_real_images_are_better_than_noise_by_every_metric(faces: Synthetic):
    metrics = ["kd", "prdc", "swd", "msssim"]
    reference = ReferenceSet(settings(metrics=metrics), faces, "cpu")
    real, random = measured(reference).scores, measured(reference, noise).scores
    pixels = ("kd", "precision", "recall", "density", "coverage")
    expected = {*(f"{name}_pixels" for name in pixels), "msssim", "swd", "swd/16"}
    assert set(real) == set(reference.names()) == expected
    assert real["kd_pixels"].value < random["kd_pixels"].value
    assert real["swd"].value < random["swd"].value
    assert real["precision_pixels"].value > random["precision_pixels"].value
    assert real["coverage_pixels"].value > random["coverage_pixels"].value
    alike = random["msssim"]
    assert isinstance(alike, SimilarityScore)
    assert alike.value < alike.real  # faces are more alike than noise


@pytest.mark.parametrize(
    ("split", "count"), [("train", 180), ("val", 10), ("test", 10), ("all", 200)]
)
def test_real_images_are_those_of_the_split(faces: Synthetic, split: str, count: int):
    reference = ReferenceSet(settings(split=split, kid_subset_size=None), faces, "cpu")
    rows = np.arange(200) if split == "all" else faces.store.rows(split)
    assert sorted(reference.rows) == sorted(rows)
    assert len(reference.rows) == count
    vectors = reference.vectors(faces.images, NUMBERS)
    expected = reference.extractor.read(faces.images(np.sort(rows))).features
    assert torch.equal(vectors.real.features, expected)


def test_real_images_of_a_read_only_store_are_read_once(tmp_path: Path):
    class Counted(Synthetic):
        reads = 0

        def images(self, rows, device="cpu"):
            Counted.reads += 1
            return super().images(rows, device)

    data = Counted(n=200, image_size=16, data_dir=str(tmp_path))
    (data.store.path / "vectors").touch()  # a file: nothing can be written below it
    reference = ReferenceSet(settings(), data, "cpu")
    first = measured(reference, noise).scores["kd_pixels"].value
    assert Counted.reads > 0
    Counted.reads = 0
    assert measured(reference, noise).scores["kd_pixels"].value == first
    assert Counted.reads == 0


def test_the_network_kept_beside_the_store_labels_and_compares(tmp_path: Path):
    data = Synthetic(n=200, image_size=16, data_dir=str(tmp_path))
    cnn = {"kind": "cnn"}
    with pytest.raises(InputError, match=r"or set quality.extractor.kind=pixels"):
        ReferenceSet(settings(extractor=cnn), data, "cpu")
    path = saved_network(data, data.store.path / "networks" / "one.ckpt")
    chosen = settings(extractor=cnn, metrics=["fd", "kd", "prevalence"])
    reference = ReferenceSet(chosen, data, "cpu")
    scores = measured(reference).scores
    assert list(scores) == ["fd_cnn", "kd_cnn", "prevalence_cnn"]
    shares = scores["prevalence_cnn"].labels
    assert list(shares) == data.label_names
    logits = reference.extractor.read(data.images(NUMBERS)).logits
    for i, name in enumerate(data.label_names):
        assert shares[name]["generated"] == pytest.approx(float((logits[:, i] > 0).double().mean()))
    # The file named in the settings is the same network.
    named = settings(extractor={"kind": "cnn", "weights": str(path)}, metrics=["kd"])
    again = measured(ReferenceSet(named, data, "cpu")).scores["kd_cnn"]
    assert again.value == scores["kd_cnn"].value


def test_real_images_adhere_to_their_own_labels_as_well_as_real_images_do(
    faces: Synthetic, tmp_path: Path
):
    cnn = {"kind": "cnn", "weights": str(saved_network(faces, tmp_path / "labels.ckpt"))}
    reference = ReferenceSet(settings(extractor=cnn, metrics=["adherence"]), faces, "cpu")
    names, store = ["Male", "Smiling"], faces.store
    held_out = np.concatenate([store.rows("val"), store.rows("test")])
    columns = [store.label_names.index(name) for name in names]

    def images_of(numbers: np.ndarray) -> torch.Tensor:
        return faces.images(held_out[numbers])

    asked = Asked(names, (), torch.from_numpy(store.labels[held_out][:, columns].astype("f4")))
    numbers = np.arange(len(held_out))
    vectors = reference.vectors(images_of, numbers)
    score = reference.scores(vectors, images_of, numbers, asked).scores["adherence_cnn"]
    assert score.generated == score.real
    with pytest.raises(InputError, match="adherence needs a generator that obeys labels"):
        check_asked(reference.settings, reference.extractor, None)
    hats = Asked(["Top_Hat"], (), torch.ones(3, 1))
    with pytest.raises(InputError, match="a network that predicts Top_Hat"):
        check_asked(reference.settings, reference.extractor, hats)


def test_cas_stands_beside_the_label_network_and_follows_from_the_seed(
    faces: Synthetic, tmp_path: Path
):
    cnn = {"kind": "cnn", "weights": str(saved_network(faces, tmp_path / "labels.ckpt"))}
    chosen = settings(extractor=cnn, metrics=["cas", "adherence"])
    reference = ReferenceSet(chosen, faces, "cpu")
    assert reference.names() == ["adherence_cnn", "cas_cnn"]
    names, store = ["Male", "Smiling"], faces.store
    columns = [store.label_names.index(name) for name in names]
    values = torch.from_numpy(store.labels[NUMBERS][:, columns].astype("f4"))
    asked = Asked(names, (), values)
    vectors = reference.vectors(faces.images, NUMBERS)
    found = [reference.scores(vectors, faces.images, NUMBERS, asked).scores for _ in range(2)]
    assert list(found[0]) == reference.names()
    score = found[0]["cas_cnn"]
    assert score.value == found[1]["cas_cnn"].value
    assert score.error is not None
    assert score.metric == "mean average precision"
    assert list(score.labels) == names
    for name in names:  # of the label network, on the same held-out images
        real = found[0]["adherence_cnn"].real[name]["average_precision"]
        assert score.labels[name]["real"] == pytest.approx(real)
    assert score.real == pytest.approx(np.mean([row["real"] for row in score.labels.values()]))


def test_cas_without_what_it_needs(faces: Synthetic, tmp_path: Path):
    with pytest.raises(InputError, match="cas needs a network that predicts labels: set"):
        ReferenceSet(settings(metrics=["cas"]), faces, "cpu")
    with pytest.raises(InputError, match="19 generated images are too few"):
        ReferenceSet(settings(metrics=["cas"], n=19), faces, "cpu")
    cnn = {"kind": "cnn", "weights": str(saved_network(faces, tmp_path / "labels.ckpt"))}
    reference = ReferenceSet(settings(extractor=cnn, metrics=["cas"]), faces, "cpu")
    with pytest.raises(InputError, match="cas needs a generator that obeys labels"):
        check_asked(reference.settings, reference.extractor, None)


def test_a_network_of_classes_gives_an_inception_score(faces: Synthetic, tmp_path: Path):
    path = saved_network(faces, tmp_path / "classes.ckpt", ["a", "b", "c"])
    cnn = {"kind": "cnn", "weights": str(path)}
    reference = ReferenceSet(settings(extractor=cnn, metrics=["is", "prevalence"]), faces, "cpu")
    scores = measured(reference).scores
    assert 1 <= scores["is_cnn"].value <= 3
    shares = scores["prevalence_cnn"].labels
    assert list(shares) == ["a", "b", "c"]
    assert sum(share["generated"] for share in shares.values()) == pytest.approx(1)


def test_a_network_of_labels_gives_none(faces: Synthetic, tmp_path: Path):
    cnn = {"kind": "cnn", "weights": str(saved_network(faces, tmp_path / "labels.ckpt"))}
    with pytest.raises(InputError, match="needs a network that predicts classes, not cnn"):
        ReferenceSet(settings(extractor=cnn, metrics=["is"]), faces, "cpu")


def test_mirrored_copies_are_searched_for_where_training_flips(tmp_path: Path):
    data = Synthetic(n=1200, image_size=16, flip=True, data_dir=str(tmp_path))
    reference = ReferenceSet(settings(metrics=["new"]), data, "cpu")
    rows = data.train_rows()

    def copies(numbers: np.ndarray) -> torch.Tensor:
        return data.images(rows[numbers]).flip(-1)

    result = measured(reference, copies)
    assert list(result.scores) == reference.names() == ["copies_pixels"]
    assert result.scores["copies_pixels"].copier
    found = result.train_rows[result.memorization.row.numpy()]
    assert np.mean(found == rows[NUMBERS]) > 0.9


def saved_digit_network(path: Path, size: int = 28) -> Path:
    torch.manual_seed(0)
    classes = [str(digit) for digit in range(10)]
    network = Classifier(size, 1, 4, ["digit"], [0], [0.1] * 10, classes=classes)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"state_dict": network.state_dict(), "hyper_parameters": dict(network.hparams)}
    torch.save(content, path)
    return path


@pytest.fixture
def stacked(tmp_path: Path) -> MNIST:
    root = write_mnist(tmp_path / "mnist")
    return MNIST(root=str(root), data_dir=str(tmp_path / "d"), image_size=28, stacked=True)


def test_modes_are_read_by_the_network_of_single_digits_kept_beside_these(stacked: MNIST):
    chosen = settings(extractor={"kind": "cnn"}, metrics=["modes"])
    with pytest.raises(InputError, match=r"dataset.image_size=28 dataset.channels=1, or set"):
        ReferenceSet(chosen, stacked, "cpu")
    plain = stacked.unstacked()
    saved_digit_network(plain.store.path / "networks" / "digits.ckpt")
    reference = ReferenceSet(chosen, stacked, "cpu")
    scores = measured(reference).scores
    assert list(scores) == reference.names() == ["modes_cnn", "reverse_kl_cnn"]

    single = ReferenceSet(settings(extractor={"kind": "cnn"}, metrics=["kd"]), plain, "cpu")
    images = stacked.images(NUMBERS)
    read = [single.extractor.read(images[:, [channel]]) for channel in range(3)]
    digits = np.stack([output.logits.argmax(1).numpy() for output in read], 1)
    assert scores["modes_cnn"].value == len(np.unique(digits, axis=0))
    together = reference.extractor.read(images)
    features = torch.cat([output.features for output in read], 1)
    torch.testing.assert_close(together.features, features)

    named = {"kind": "cnn", "weights": str(plain.store.path / "networks" / "digits.ckpt")}
    again = measured(ReferenceSet(settings(extractor=named, metrics=["modes"]), stacked, "cpu"))
    assert again.scores["reverse_kl_cnn"].value == scores["reverse_kl_cnn"].value


def test_what_has_no_modes_is_told_so(stacked: MNIST, faces: Synthetic, tmp_path: Path):
    with pytest.raises(InputError, match="these data are not stacked"):
        ReferenceSet(settings(metrics=["modes"]), faces, "cpu")
    with pytest.raises(InputError, match="reads a single digit, not by pixels of whole images"):
        ReferenceSet(settings(metrics=["modes"]), stacked, "cpu")
    other_size = {"kind": "cnn", "weights": str(saved_digit_network(tmp_path / "32.ckpt", 32))}
    with pytest.raises(InputError, match=r"reads \(1, 32\) .* has \(3, 28\)"):
        ReferenceSet(settings(metrics=["modes"], extractor=other_size), stacked, "cpu")
    digits = {"kind": "cnn", "weights": str(saved_digit_network(tmp_path / "28.ckpt"))}
    with pytest.raises(InputError, match="leave it out on stacked data"):
        ReferenceSet(settings(metrics=["prevalence"], extractor=digits), stacked, "cpu")
