"""The command ``facegan.sample``: what it takes, where it writes, what it refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegan import load_gan, sample, sample_latents
from facegan.pictures.scaling import to_uint8

Run = Callable[..., tuple[int, str]]


def test_pictures_go_into_the_run_directory(run: Run, trained: Path):
    status, output = run(sample, f"ckpt={trained}", "n=3", "device=cpu")
    assert status == 0, output
    names = {path.name for path in (trained / "generated" / "last_seed0_n3").iterdir()}
    assert names == {"000000.png", "000001.png", "000002.png", "grid.png"}
    assert "3 faces of seed 0 are in" in output


def test_pictures_are_those_of_the_python_interface(run: Run, trained: Path, tmp_path: Path):
    options = ["n=5", "seed=4", "truncation=0.7", "format=npz", "grid=false", "device=cpu"]
    file = trained / "checkpoints" / "last.ckpt"
    status, output = run(sample, f"ckpt={file}", *options, f"out={tmp_path}/faces")
    assert status == 0, output
    gan = load_gan(trained, "cpu")
    z = sample_latents(5, gan.settings.latent_dim, seed=4, truncation=0.7)
    expected = to_uint8(gan.sample(z)).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(np.load(tmp_path / "faces" / "samples.npz")["images"], expected)
    assert [path.name for path in (tmp_path / "faces").iterdir()] == ["samples.npz"]


def test_truncation_is_part_of_the_name(run: Run, trained: Path):
    run(sample, f"ckpt={trained}", "n=1", "truncation=0.7", "format=npz", "grid=false")
    assert (trained / "generated" / "last_seed0_n1_truncation0.7" / "samples.npz").is_file()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("n=0", "n must be a whole number of at least 1, not 0."),
        ("ckpt=null", "Say which generator to use"),
        ("ckpt=nowhere", "There is no checkpoint at nowhere"),
        ("device=abacus", "device=abacus"),
    ],
)
def test_what_cannot_be_done_is_refused(run: Run, trained: Path, override: str, sentence: str):
    status, output = run(sample, f"ckpt={trained}", override)
    assert status == 2
    assert sentence in output
    assert "Traceback" not in output
    assert not (trained / "generated").exists()


@pytest.fixture
def conditional(tmp_path: Path) -> Path:
    """A run of a generator that obeys two attributes, not trained at all."""
    import pytorch_lightning as pl

    from facegan import GAN
    from facegan.gan.conditions import Conditions

    conditions = Conditions("attributes", ["Male", "5_o_Clock_Shadow"], [0, 1])
    gan = GAN(conditions.specification(), image_size=16, width_g=4, width_d=4, latent_dim=8)
    gan.conditions.fit(np.array([[0, 0], [0, 0], [1, 0], [1, 1]]))
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(gan)
    trainer.save_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    return tmp_path / "run"


def test_a_conditional_generator_is_asked_for_labels(run: Run, conditional: Path):
    asked = ["condition.5_o_Clock_Shadow=1", "condition.Male=1"]
    status, output = run(sample, f"ckpt={conditional}", "n=4", "device=cpu", *asked)
    assert status == 0, output
    assert "25.00% of the training images have what is asked for." in output
    out = conditional / "generated" / "last_seed0_n4_5_o_Clock_Shadow-1_Male-1"
    listed = (out / "conditions.csv").read_text().splitlines()
    assert listed == ["picture,Male,5_o_Clock_Shadow", *(f"{i},1.0,1.0" for i in range(4))]
    assert (out / "000003.png").is_file()


def test_without_being_asked_it_draws_what_the_data_have(run: Run, conditional: Path):
    options = ["n=200", "format=npz", "device=cpu", "batch_size=30"]
    assert run(sample, f"ckpt={conditional}", *options)[0] == 0
    out = conditional / "generated" / "last_seed0_n200"
    values = np.loadtxt(out / "conditions.csv", delimiter=",", skiprows=1)[:, 1:]
    assert values.mean(0) == pytest.approx([0.5, 0.25], abs=0.1)
    gan = load_gan(conditional, "cpu")
    images = np.load(out / "samples.npz")["images"]
    expected = to_uint8(gan.images_of(200, 0)(np.arange(200))).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(images, expected)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("condition.Hat=1", "condition.Hat=1: this generator takes Male, 5_o_Clock_Shadow."),
        ("condition.Male=often", "condition.Male must be a number like 0 or 1, not 'often'."),
        ("cluster=1", "condition.cluster=1: this generator takes Male"),
    ],
)
def test_labels_it_was_not_trained_with_are_refused(
    run: Run, conditional: Path, override: str, sentence: str
):
    status, output = run(sample, f"ckpt={conditional}", override)
    assert status == 2
    assert sentence in output
    assert not (conditional / "generated").exists()


def test_an_unconditional_generator_takes_no_labels(run: Run, trained: Path):
    status, output = run(sample, f"ckpt={trained}", "condition.Male=1")
    assert status == 2
    assert "this generator takes no conditions" in output
