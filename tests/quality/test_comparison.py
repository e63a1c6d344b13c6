"""Two generators on the same latents."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from facegan.quality.comparison import Difference, compare
from facegan.quality.evaluation import Candidate
from facegan.quality.reference import ReferenceSet
from facegan.quality.settings import EvaluationSettings

from .conftest import tiny_gan

SETTINGS = EvaluationSettings(
    n=100, metrics=["kd", "prdc"], kid_subsets=10, extractor={"kind": "pixels"}
)


def candidate(tmp_path: Path, name: str, **sizes: int) -> Candidate:
    path = tmp_path / name / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return Candidate.of_gan(tiny_gan(**sizes), path, SETTINGS.n, seed=0)


def test_real_images_win_against_noise(faces: Synthetic, tmp_path: Path):
    noise = candidate(tmp_path, "noise")
    real = replace(noise, name="real", images_of=faces.images)
    found = compare(ReferenceSet(SETTINGS, faces, "cpu"), noise, real, tmp_path / "out")
    assert found["kd_pixels"].better == "second"
    assert found["coverage_pixels"].better == "second"  # the greater one
    saved = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert saved["kd_pixels"]["better"] == "second"
    assert saved["kd_pixels"]["p"] < saved["level"] == pytest.approx(0.05 / len(found))
    for part in ("first", "second"):
        alone = json.loads((tmp_path / "out" / part / "evaluation.json").read_text())
        assert alone["kd_pixels"]["value"] == saved["kd_pixels"][part]

    # comparison.png: 16 images of each in a row, the same latents below each other.
    sheet = np.asarray(Image.open(tmp_path / "out" / "comparison.png"))
    height, width = (18 + 2) * 4, (16 * 18 + 2) * 4
    margin = sheet.shape[1] - width
    assert sheet.shape[0] == 2 * height
    expected = faces.raw_images(np.array([0, 15])).permute(0, 2, 3, 1).numpy()
    for number, image in zip((0, 15), expected, strict=True):
        left = margin + (2 + 18 * number) * 4
        assert np.array_equal(sheet[height + 8 : height + 72 : 4, left : left + 64 : 4], image)


def test_a_generator_does_not_differ_from_itself(faces: Synthetic, tmp_path: Path):
    first = candidate(tmp_path, "one")
    twin = replace(first, name="twin")
    found = compare(ReferenceSet(SETTINGS, faces, "cpu"), first, twin, tmp_path / "out")
    assert all(row.difference == 0 and not row.differs for row in found.values())


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"image_size": 32}, "one draws 16 px with 3 channels, two 32 px with 3: they cannot be"),
        ({"latent_dim": 4}, "one has 8 latent dimensions, two 4"),
    ],
)
def test_generators_of_other_sizes_are_refused(
    faces: Synthetic, tmp_path: Path, sizes: dict[str, int], sentence: str
):
    first, second = candidate(tmp_path, "one"), candidate(tmp_path, "two", **sizes)
    with pytest.raises(InputError, match=sentence):
        compare(ReferenceSet(SETTINGS, faces, "cpu"), first, second, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "second", "p", "better"),
    [
        ("fid", 1.0, 0.001, "second"),
        ("fid", 3.0, 0.001, "first"),
        ("recall_cnn", 3.0, 0.001, "second"),
        ("msssim", 3.0, 0.001, None),  # no direction is better
        ("fid", 1.0, 0.04, None),  # above the shared level
        ("fid", 1.0, None, None),
    ],
)
def test_which_one_is_better(name: str, second: float, p: float | None, better: str | None):
    assert Difference(name, 2.0, second, 0.1, p, level=0.01).better == better
