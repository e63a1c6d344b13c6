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
