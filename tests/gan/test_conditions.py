"""What a generator can be asked for, how it is encoded, and how common it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from facegan.errors import InputError
from facegan.gan.checkpoint import load_gan
from facegan.gan.conditions import Conditions, conditions_for
from facegan.gan.gan import GAN
from facegan.gan.latents import sample_latents
from facegan.gan.losses import LOSSES
from facegan.gan.settings import ConditionSettings
from tests.gan.test_gan import PENALISED, TINY, weights

NAMES = ["Male", "Bald", "Young"]


def attributes(n: int = 4000) -> np.ndarray:
    """Half of them men, a tenth of these bald; nine of ten are young, but no bald one."""
    rng = np.random.default_rng(0)
    male = rng.random(n) < 0.5
    bald = male & (rng.random(n) < 0.1)
    young = ~bald & (rng.random(n) < 0.9)
    return np.stack([male, bald, young], 1).astype(np.uint8)


def of_attributes(labels: np.ndarray | None = None) -> Conditions:
    conditions = Conditions("attributes", NAMES, [0, 1, 2])
    conditions.fit(attributes() if labels is None else labels)
    return conditions


def test_attributes_are_standardised_so_that_a_rare_one_has_a_long_vector():
    conditions, labels = of_attributes(), torch.from_numpy(attributes())
    vectors = conditions.encode(conditions.of_batch(labels))
    assert vectors is not None
    assert torch.allclose(vectors.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(vectors.square().mean(0), torch.ones(3), atol=1e-4)
    rare, common = conditions.encode(torch.eye(3))[[1, 0], [1, 0]].tolist()
    assert rare > 4 * common


def test_classes_are_one_hot_with_a_mean_square_of_one():
    conditions = Conditions("classes", ["digit"], [1], [str(n) for n in range(10)])
    labels = torch.tensor([[7, 3], [7, 9]])  # the digit is the second column
    vectors = conditions.encode(conditions.of_batch(labels))
    assert vectors is not None
    assert vectors.argmax(1).tolist() == [3, 9]
    assert vectors.square().mean(1).tolist() == pytest.approx([1, 1])


def test_drawn_labels_are_as_common_together_as_in_the_data():
    conditions, labels = of_attributes(), attributes()
    drawn = conditions.draw(20_000, seed=1).numpy()
    for combination in np.unique(labels, axis=0):
        real, found = ((v == combination).all(1).mean() for v in (labels, drawn))
        assert found == pytest.approx(real, abs=0.01)
    assert not (drawn[:, 1] * drawn[:, 2]).any()  # nobody is bald and young


def test_a_picture_of_a_seed_has_the_same_labels_however_many_are_drawn():
    conditions = of_attributes()
    whole = conditions.draw(200, seed=3)
    assert torch.equal(conditions.draw(70, seed=3, start=100), whole[100:170])
    assert not torch.equal(conditions.draw(200, seed=4), whole)


def test_labels_that_are_not_asked_for_are_drawn_from_images_that_have_those_that_are():
    conditions, labels = of_attributes(), attributes()
    asked = conditions.read({"Bald": 1})
    drawn = conditions.draw(500, seed=0, asked=asked).numpy()
    assert (drawn == [1, 1, 0]).all()  # the bald are men, and not young
    assert conditions.share(asked) == pytest.approx(labels[:, 1].mean())
    impossible = {"Bald": 1.0, "Young": 1.0}
    assert conditions.share(impossible) == 0
    drawn = conditions.draw(500, seed=0, asked=impossible).numpy()
    assert (drawn[:, 1:] == 1).all()
    assert 0.4 < drawn[:, 0].mean() < 0.6
    exaggerated = conditions.draw(5, seed=0, asked={"Male": 2.5})
    assert exaggerated[:, 0].tolist() == [2.5] * 5


def test_classes_are_asked_for_by_name_or_number():
    conditions = Conditions("classes", ["class"], [0], ["cats", "dogs"])
    assert conditions.read({"class": "dogs"}) == {"class": 1}
    numbered = Conditions("classes", ["digit"], [0], ["0", "1", "2"])
    assert numbered.draw(3, 0, asked=numbered.read({"digit": 2})).flatten().tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("conditions", "asked", "sentence"),
    [
        (Conditions(), {"Male": 1}, "condition.Male=1: this generator takes no conditions"),
        (of_attributes(), {"Hat": 1}, "condition.Hat=1: this generator takes Male, Bald, Young."),
        (of_attributes(), {"Male": "yes"}, "condition.Male must be a number like 0 or 1"),
        (
            Conditions("clusters", ["cluster"], [0], ["0", "1"]),
            {"cluster": 2},
            "condition.cluster must be one of 0, 1, not 2.",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused(conditions: Conditions, asked: dict, sentence: str):
    with pytest.raises(InputError, match=sentence.replace(".", r"\.")):
        conditions.read(asked)


def chosen(kind: str, names: list[str] | None = None, labels: Any = None, **more: Any) -> Any:
    labels = attributes() if labels is None else labels
    settings = ConditionSettings(kind=kind, names=names, **more)
    return conditions_for(settings, NAMES[: labels.shape[1]], labels, {})


def test_conditions_follow_from_the_labels_of_the_data():
    assert chosen("none").num_conditions == 0
    assert chosen("attributes").names == tuple(NAMES)
    assert chosen("attributes", ["Young", "Male"]).columns.tolist() == [2, 0]
    constant = attributes()
    constant[:, 1] = 0
    assert chosen("attributes", labels=constant).names == ("Male", "Young")
    digits = np.arange(30)[:, None] % 10
    assert chosen("classes", labels=digits).classes == tuple("0123456789")
    assert chosen("clusters").num_conditions == 10  # one for 400 images
    assert chosen("clusters", k=7).columns.tolist() == [3]  # the column after those of the data


@pytest.mark.parametrize(
    ("kind", "names", "labels", "sentence"),
    [
        ("attributes", ["Hat"], None, "these data have no Hat; labels that fit: Male, Bald, Young"),
        ("attributes", None, np.zeros((9, 0)), "no such label; labels that fit: none"),
        ("classes", None, None, "takes one label, and there are Male, Bald, Young"),
        ("attributes", None, np.full((9, 1), 3), "no such label; labels that fit: none"),
    ],
)
def test_labels_that_do_not_fit_are_refused(kind: str, names: Any, labels: Any, sentence: str):
    with pytest.raises(InputError, match=sentence):
        chosen(kind, names, labels)


def test_an_attribute_that_all_images_share_is_refused():
    with pytest.raises(InputError, match="all training images have the same Bald"):
        of_attributes(attributes() * np.array([1, 0, 1], np.uint8))


def conditional(**settings: Any) -> GAN:
    torch.manual_seed(0)
    gan = GAN(of_attributes().specification(), **{**TINY, **settings})
    gan.conditions.fit(attributes())
    return gan


def fit(gan: GAN, **options: Any) -> pl.Trainer:
    images = torch.rand(32, 3, 16, 16, generator=torch.manual_seed(1)) * 2 - 1
    data = TensorDataset(images, torch.from_numpy(attributes(32)))
    trainer = pl.Trainer(
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        max_epochs=1,
        **options,
    )
    trainer.fit(gan, DataLoader(data, batch_size=8))
    return trainer


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_the_embeddings_of_both_networks(loss: str):
    gan = conditional(loss=loss, **(PENALISED if loss in ("wgan-gp", "rpgan") else {}))
    embed, project = gan.generator.embed, gan.discriminator.project
    before = weights(embed), weights(project)
    fit(gan)
    for old, network in zip(before, (embed, project), strict=True):
        assert weights(network).isfinite().all()
        assert not torch.equal(weights(network), old)


def test_accumulation_spectral_norm_and_bf16_train_too():
    gan = conditional(accumulate=2, spectral_norm=True, norm_d="none", augment=["translation"])
    fit(gan, precision="bf16-mixed")
    assert weights(gan.generator).isfinite().all()


def test_both_networks_depend_on_the_condition():
    gan = conditional()
    fit(gan)
    z = sample_latents(2, 8, seed=0)[:1].repeat(2, 1)
    labels = torch.tensor([[0.0, 0, 1], [1, 1, 0]])
    images = gan.sample(z, labels)
    assert not torch.allclose(images[0], images[1])
    vectors = gan.conditions.encode(labels)
    assert vectors is not None
    logits = gan.discriminator(images[:1].repeat(2, 1, 1, 1), vectors)
    assert logits[0] != logits[1]
    features = gan.discriminator.forward_features(images)
    assert features.shape == (2, gan.discriminator.num_features)


def test_a_checkpoint_keeps_what_can_be_asked_for_and_how_common_it_is(tmp_path: Path):
    gan = conditional()
    path = tmp_path / "c.ckpt"
    fit(gan).save_checkpoint(path)
    loaded = load_gan(path, "cpu")
    assert loaded.conditions.specification() == gan.conditions.specification()
    numbers = np.arange(10)
    assert torch.equal(loaded.images_of(10, 5)(numbers), gan.images_of(10, 5)(numbers))
    assert loaded.conditions.share({"Bald": 1.0}) == gan.conditions.share({"Bald": 1.0})


def test_an_image_does_not_depend_on_how_many_are_sampled():
    gan = conditional()
    z, labels = sample_latents(70, 8, seed=2), gan.conditions.draw(70, seed=2)
    whole = gan.sample(z, labels)
    assert torch.equal(gan.sample(z[60:], labels[60:]), whole[60:])
    assert torch.equal(gan.images_of(70, 2)(np.arange(70)), whole)


def test_rows_of_the_grid_show_each_attribute_absent_and_present():
    rows = of_attributes().shown()
    captions = [caption for caption, _ in rows]
    assert captions == ["not Male", "Male", "not Bald", "Bald", "not Young", "Young"]
    assert dict(rows)["Bald"].tolist() == [1, 1, 0]
