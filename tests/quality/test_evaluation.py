"""An evaluation from Python: its numbers and its pictures."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from facegan.data.sources.synthetic import Synthetic
from facegan.pictures.scaling import to_uint8
from facegan.quality import report
from facegan.quality.evaluation import Candidate, evaluate_candidate
from facegan.quality.metrics.uncertainty import Estimate
from facegan.quality.reference import ReferenceSet
from facegan.quality.scores import CopiesScore, KernelScore, PrevalenceScore, SimilarityScore
from facegan.quality.settings import EvaluationSettings

from .conftest import tiny_gan


def settings(**values) -> EvaluationSettings:
    common = {"n": 40, "metrics": ["kd"], "kid_subset_size": 20, "extractor": {"kind": "pixels"}}
    return EvaluationSettings(**common | values)


def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"only its hash is read")
    return path


def test_a_gan_is_evaluated_without_a_command_line(faces: Synthetic, tmp_path: Path):
    gan, path = tiny_gan(), checkpoint(tmp_path)
    candidate = Candidate.of_gan(gan, path, 40, seed=0)
    assert candidate.name == "run"
    reference = ReferenceSet(settings(), faces, "cpu")
    result = evaluate_candidate(reference, candidate, tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert saved["kd_pixels"]["value"] == result.scores["kd_pixels"].value
    assert saved["kd_pixels"]["subset_size"] == 20
    assert (saved["n"], saved["real"], saved["latent_dim"]) == (40, 180, 8)
    assert saved["checkpoint"] == str(path)

    # generated.png: the first images, 8 a row, 4 times as large, with padding between them.
    sheet = np.asarray(Image.open(tmp_path / "out" / "generated.png"))
    first, ninth = to_uint8(candidate.images_of(np.array([0, 8]))).permute(0, 2, 3, 1).numpy()
    assert sheet.shape == ((5 * 18 + 2) * 4, (8 * 18 + 2) * 4, 3)
    assert np.array_equal(sheet[8 : 8 + 64 : 4, 8 : 8 + 64 : 4], first)
    assert np.array_equal(sheet[80 : 80 + 64 : 4, 8 : 8 + 64 : 4], ninth)


def test_a_folder_is_evaluated_on_as_many_pictures_as_it_has(faces: Synthetic, tmp_path: Path):
    few = Candidate.of_pictures(faces, tmp_path / "faces", 50, seed=1, device="cpu")
    assert (few.name, len(few.numbers), few.facts["of"]) == ("faces", 50, 200)
    assert len(set(few.numbers)) == 50
    everything = Candidate.of_pictures(faces, tmp_path / "faces", 500, seed=1, device="cpu")
    assert everything.facts["n"] == 200
    assert sorted(everything.numbers) == list(range(200))


def test_copies_are_shown_above_what_they_repeat(tmp_path: Path):
    data = Synthetic(n=1200, image_size=16, data_dir=str(tmp_path))
    rows = data.train_rows()
    candidate = Candidate(
        name="copier",
        images_of=lambda numbers: data.images(rows[numbers]),
        numbers=np.arange(40),
        image_size=16,
        channels=3,
        facts={},
    )
    evaluate_candidate(
        ReferenceSet(settings(metrics=["new"]), data, "cpu"), candidate, tmp_path / "out"
    )
    sheet = np.asarray(Image.open(tmp_path / "out" / "nearest.png"))
    margin = sheet.shape[1] - (12 * 18 + 2) * 4
    height = sheet.shape[0] // 2
    above, below = sheet[:height, margin:], sheet[height:, margin:]
    assert np.array_equal(above, below)  # each copy above the image it repeats
    assert above.std() > 20


def test_labels_are_drawn(tmp_path: Path):
    def drawn(share: float) -> np.ndarray:
        shares = {"Smiling": {"real": 0.5, "generated": share}}
        return np.asarray(report.prevalence_chart(PrevalenceScore(Estimate(0.1), 100, shares)))

    low, high = drawn(0.1), drawn(0.9)
    assert low.std() > 0
    assert low.shape != high.shape or not np.array_equal(low, high)


def test_the_table_explains_its_scores():
    shares = {
        "Smiling": {"real": 0.5, "generated": 0.4},
        "Male": {"real": 0.4, "generated": 0.1},
    }
    table = report.score_table(
        {
            "copies_pixels": CopiesScore(Estimate(0.25), 100, 1e-9, True),
            "msssim": SimilarityScore(Estimate(0.5), 100, 0.25),
            "prevalence_cnn": PrevalenceScore(Estimate(0.2), 100, shares),
        }
    )
    assert "25.0% look like copies, 1 % by chance: it repeats training images" in table
    assert "0.5 (real images 0.25)" in table
    assert "widest gap: Male 10.0%, real 40.0%" in table


def test_a_score_is_saved_with_what_belongs_to_its_metric():
    score = KernelScore(Estimate(0.5, [0.25, 0.75]), 100, 10, 50, 0.125)
    assert score.content() == {
        "value": 0.5,
        "error": 0.25,
        "n": 100,
        "subsets": 10,
        "subset_size": 50,
        "deviation": 0.125,
        "replicates": [0.25, 0.75],
    }
