"""Quality while training: numbers that facegan.evaluate repeats, and the best checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from facegan import evaluate
from facegan.errors import InputError
from facegan.features.classifier import Classifier
from facegan.files import read_csv
from facegan.gan.checkpoint import read_checkpoint
from facegan.training.fit import fit
from tests.composing import build_experiment, changed, composed
from tests.conftest import TINY
from tests.shown import series_in

Train = Callable[..., tuple[int, str]]

ONLY = ["callbacks=[checkpoints,quality]", "quality.n=40"]


def test_numbers_files_and_the_best_checkpoint(train: Train, run: Train, tmp_path: Path):
    status, output = train(*ONLY, "trainer.max_epochs=3", "quality.metrics=[kd,prdc,swd]")
    assert status == 0, output
    rows = read_csv(tmp_path / "run" / "quality" / "metrics.csv")
    assert [row["step"] for row in rows] == ["72", "144", "216"]
    assert float(rows[0]["kd_pixels error"]) >= 0
    logged = [row for row in read_csv(tmp_path / "run" / "metrics.csv") if row["quality/kd_pixels"]]
    assert [row["step"] for row in logged] == ["72", "144", "216"]
    assert series_in(tmp_path / "run" / "quality" / "curves.png") == {0}  # one line a panel

    values = [float(row["kd_pixels"]) for row in rows]
    epoch = 1 + values.index(min(values))
    best = read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert best["images_seen"] == 72 * epoch
    assert f"best.ckpt (quality/kd_pixels {min(values):.4g}, {72 * epoch} images)" in output

    # The same ruler, afterwards.
    options = ["n=40", "metrics=[kd,prdc]", "extractor.kind=pixels", "kid_subsets=10"]
    status, output = run(evaluate, f"ckpt={tmp_path}/run", *options)
    assert status == 0, output
    found = json.loads((tmp_path / "run/evaluation/last/evaluation.json").read_text())
    assert found["kd_pixels"]["value"] == pytest.approx(values[-1], rel=1e-4)
    assert found["recall_pixels"]["value"] == float(rows[-1]["recall_pixels"])


def test_a_label_network_measures_while_training(train: Train, tmp_path: Path):
    network = Classifier(16, 3, 4, ["Smiling", "Male"], [0, 1], [0.5, 0.5])
    path = tmp_path / "network.ckpt"
    torch.save(
        {"state_dict": network.state_dict(), "hyper_parameters": dict(network.hparams)}, path
    )
    cnn = ["quality.extractor.kind=cnn", f"quality.extractor.weights={path}"]
    metrics = "quality.metrics=[kd,prevalence]"
    status, output = train(*ONLY, *cnn, metrics, "trainer.max_epochs=1")
    assert status == 0, output
    quality = tmp_path / "run" / "quality"
    (row,) = read_csv(quality / "metrics.csv")
    assert {"kd_cnn", "prevalence_cnn"} <= set(row)
    assert series_in(quality / "prevalence.png") == {0, 1}  # generated and real
    assert "best.ckpt (quality/kd_cnn" in output


@pytest.mark.slow
def test_the_best_is_looked_for_only_when_quality_was_measured(train: Train, tmp_path: Path):
    status, output = train(
        *ONLY, "callbacks.quality.every_n_epochs=2", "trainer.max_epochs=3", "model.lr_g=0.5"
    )
    assert status == 0, output
    assert "could not find the monitored key" not in output
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")["images_seen"] in (
        2 * 72,
        3 * 72,
    )


@pytest.mark.slow
def test_measuring_quality_does_not_change_the_training(train: Train, tmp_path: Path):
    weights = []
    for number, callbacks in enumerate(("[checkpoints]", "[checkpoints,quality]")):
        directory = f"hydra.run.dir={tmp_path}/{number}"
        status, output = train(f"callbacks={callbacks}", "quality.n=40", directory)
        assert status == 0, output
        path = tmp_path / str(number) / "checkpoints" / "last.ckpt"
        weights.append(torch.load(path, weights_only=True)["state_dict"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_early_stopping_watches_the_objective(train: Train, tmp_path: Path):
    status, output = train(
        "callbacks=[checkpoints,quality,early_stopping]",
        "quality.n=40",
        "trainer.max_epochs=9",
        "callbacks.early_stopping.patience=1",
        "objective.metric=quality/precision_pixels",  # noise has none
        "objective.mode=max",
    )
    assert status == 0, output
    assert "Stopped early" in output
    assert len(read_csv(tmp_path / "run" / "quality" / "metrics.csv")) < 9


@pytest.mark.slow
def test_a_new_run_from_a_checkpoint_starts_its_patience_at_zero(train: Train, tmp_path: Path):
    patient = ["callbacks=[checkpoints,quality,early_stopping]", "quality.n=40"]
    patient += ["objective.metric=quality/precision_pixels", "objective.mode=max"]
    patient += ["callbacks.early_stopping.patience=2"]
    status, output = train(*patient, "trainer.max_epochs=2")
    assert status == 0, output
    again = [f"ckpt={tmp_path}/run", f"hydra.run.dir={tmp_path}/second", "trainer.max_epochs=4"]
    status, output = train(*patient, *again)
    assert status == 0, output
    # Its first epoch is its best so far, and patience counts two more.
    assert read_checkpoint(tmp_path / "second")["images_seen"] == (2 + 3) * 72


@pytest.mark.slow
def test_a_resumed_run_keeps_the_best_of_before(train: Train, tmp_path: Path):
    status, output = train(*ONLY, "model.lr_g=0.5", "trainer.max_epochs=1")
    assert status == 0, output
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    first = float(read_csv(tmp_path / "run" / "quality" / "metrics.csv")[0]["kd_pixels"])
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=3")
    assert status == 0, output
    values = [float(r["kd_pixels"]) for r in read_csv(tmp_path / "run" / "quality" / "metrics.csv")]
    assert values[0] == first
    assert len(values) == 3
    assert read_checkpoint(best)["images_seen"] == 72 * (1 + values.index(min(values)))


@pytest.mark.slow
def test_a_run_directory_that_was_moved_keeps_its_best(train: Train, tmp_path: Path):
    status, output = train(*ONLY, "trainer.max_epochs=1")
    assert status == 0, output
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    ruined = ["model.lr_g=0.5", "model.lr_d=1e-9"]  # nothing after it is better
    again = [f"hydra.run.dir={moved}", "trainer.max_epochs=2", *ruined]
    status, output = train(*again, f"resume={moved}")
    assert status == 0, output
    values = [float(row["kd_pixels"]) for row in read_csv(moved / "quality" / "metrics.csv")]
    assert values[1] > values[0]
    assert read_checkpoint(moved / "checkpoints" / "best.ckpt")["images_seen"] == 72
    assert json.loads((moved / "result.json").read_text())["epoch"] == 1


@pytest.mark.slow
def test_scores_by_another_ruler_are_not_compared(train: Train, tmp_path: Path):
    assert train(*ONLY, "trainer.max_epochs=1")[0] == 0
    options = ["quality.n=30", "trainer.max_epochs=2", "model.lr_g=0.5"]
    status, output = train(f"resume={tmp_path}/run", *options)
    assert status == 0, output
    assert "measured in another way than before: the best checkpoint is chosen" in output
    best = read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert best["images_seen"] == 144


@pytest.mark.slow
def test_patience_counts_measurements(train: Train, tmp_path: Path):
    status, output = train(
        "callbacks=[checkpoints,quality,early_stopping]",
        "quality.n=40",
        "trainer.max_epochs=8",
        "callbacks.quality.every_n_epochs=3",
        "callbacks.early_stopping.patience=2",
        "objective.metric=quality/precision_pixels",  # noise has none
        "objective.mode=max",
    )
    assert status == 0, output
    rows = read_csv(tmp_path / "run" / "quality" / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["3", "6", "8"]


@pytest.mark.slow
def test_another_metric_chooses_its_own_best(train: Train, tmp_path: Path):
    status, output = train(*ONLY, "trainer.max_epochs=1")
    assert status == 0, output
    other = ["objective.metric=quality/recall_pixels", "objective.mode=max"]
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2", *other)
    assert status == 0, output
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    (best,) = [v for k, v in last["callbacks"].items() if "best" in k]
    recall = float(read_csv(tmp_path / "run" / "quality" / "metrics.csv")[-1]["recall_pixels"])
    assert best["monitor"] == "quality/recall_pixels"
    assert float(best["best_model_score"]) == pytest.approx(recall)


@pytest.mark.slow
def test_damaged_vectors_are_computed_again(train: Train, tmp_path: Path):
    own = f"data_dir={tmp_path}/data"
    assert train(*ONLY, "trainer.max_epochs=1", own)[0] == 0
    (kept,) = tmp_path.glob("data/*/vectors/*.npy")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    status, output = train(*ONLY, "trainer.max_epochs=1", own, f"hydra.run.dir={tmp_path}/second")
    assert status == 0, output
    assert kept.read_bytes() == whole


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("objective.metric=quality/fid", "quality/fid is monitored, but quality.metrics"),
        ("objective.mode=max", "would keep the worst of quality/kd_pixels: set objective.mode=min"),
        ("objective.mode=least", "objective.mode must be one of min, max"),
        ("quality.metrics=[fd]", "768 features from 40 images has a singular covariance"),
        ("quality.metrics=[kdd]", "quality.metrics must be a list of fd, kd"),
        ("quality.metrics=[cas]", "quality.metrics: cas trains a network of its own"),
        ("quality.n=0", "quality.n must be a whole number of at least 1"),
        ("quality.n=5", "more than 5 images of each kind, not 5"),
        ("quality.extractor.kind=cnn", "set quality.extractor.kind=pixels"),
        ("quality.extractor=cnn", "set quality.extractor.kind=cnn"),
        ("quality.extractor.weights=X", "quality.extractor.weights=X is of a network: pixels"),
        ("quality.extractor.layer=64", "quality.extractor.layer=64 is of the Inception network"),
        ("callbacks.quality.every_n_epochs=0", "callbacks.quality.every_n_epochs must be"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(
    tmp_path: Path, option: str, sentence: str
):
    cfg = composed("config", *TINY, *ONLY, "logger=none", "run_dir=run")
    with pytest.raises(InputError) as refused:
        fit(build_experiment(changed(cfg, option, f"data_dir={tmp_path}/data")))
    assert sentence in str(refused.value)
    assert not (tmp_path / "run" / "checkpoints").exists()
