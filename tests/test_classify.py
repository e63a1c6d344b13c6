"""``python -m facegan.classify`` on a tiny run."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from facegan import classify
from facegan.cli.run_data import with_data_of_the_run
from facegan.errors import InputError
from facegan.features.classifier import Classifier
from facegan.files import read_csv
from tests.composing import changed, composed
from tests.shown import COLOURS, series_in

Run = Callable[..., tuple[int, str]]

SMALL = ["classify.components=20", "classify.labels=[20]", "classify.bootstrap=10"]
LINEAR = [*SMALL, "classify.references=[majority,pixels,untrained]"]
CNN = [*SMALL, "classify.probe=cnn", "cnn.max_epochs=2", "cnn.width=4"]


@pytest.mark.parametrize("probe", ["logistic", pytest.param("svm", marks=pytest.mark.slow)])
def test_a_probe_is_compared_with_its_references(run: Run, trained: Path, probe: str):
    chosen = ["classify.attributes=[Smiling,Male,Eyeglasses]", f"classify.probe={probe}"]
    status, output = run(classify, f"ckpt={trained}", *LINEAR, *chosen)
    assert status == 0, output
    out = trained / "classify" / ("last" if probe == "logistic" else f"last_{probe}")
    scores = read_csv(out / "scores.csv")
    reads = dict.fromkeys(row["reads"] for row in scores)
    assert list(reads) == ["features of D", "majority", "pixels", "untrained"]
    assert {row["label"] for row in scores} == {"Smiling", "Male", "Eyeglasses", "mean"}
    mean = {row["reads"]: row for row in scores if row["label"] == "mean"}
    for name, row in mean.items():
        assert float(row["accuracy_low"]) <= float(row["accuracy_high"])
        assert name in output
    precision = {name: float(row["average_precision"]) for name, row in mean.items()}
    assert min(precision["features of D"], precision["pixels"]) > precision["majority"]
    facts = json.loads((out / "scores.json").read_text())
    assert (facts["train"], facts["val"], facts["test"]) == (180, 10, 10)
    efficiency = read_csv(out / "label_efficiency.csv")
    assert [row["labels"] for row in efficiency] == ["20", "180"] * 3
    for name in ("scores.png", "label_efficiency.png"):
        assert series_in(out / name) == ({0, 1, 2, 3} if name == "scores.png" else {0, 1, 2})


@pytest.mark.slow
def test_the_network_reads_labels_of_pictures_and_of_a_generator(
    run: Run, trained: Path, tmp_path: Path
):
    own = f"data_dir={tmp_path}/data"  # where no other test leaves its networks
    status, output = run(classify, f"ckpt={trained}", *CNN, own)
    assert status == 0, output
    out = trained / "classify" / "last"
    (network,) = tmp_path.glob("data/*/networks/*.ckpt")
    scores = read_csv(trained / "classify" / "last_cnn" / "scores.csv")
    assert {row["reads"] for row in scores} == {"cnn"}
    written = network.stat().st_mtime_ns

    options = ["n=70", f"label={trained}", own]
    status, output = run(classify, f"ckpt={trained}", *options)
    assert status == 0, output
    labels = read_csv(out / "labels.csv")
    assert len(labels) == 70
    shares = {row["attribute"]: row for row in read_csv(out / "prevalence.csv")}
    smiling = sum(int(row["Smiling"]) for row in labels) / 70
    assert float(shares["Smiling"]["pictures"]) == pytest.approx(smiling, abs=1e-4)
    assert 0.3 < float(shares["Smiling"]["labelled"]) < 0.7

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        Image.new("RGB", (20, 30), (80 * number, 9, 9)).save(pictures / f"{number}.png")
    status, output = run(classify, f"ckpt={trained}", f"label={pictures}", own)
    assert status == 0, output
    assert [row["name"] for row in read_csv(out / "labels.csv")] == ["0.png", "1.png", "2.png"]
    assert series_in(out / "prevalence.png") == {0, 1}

    # It belongs to the data: no run is needed to train it, and none trains it again.
    again = ["dataset=synthetic", "dataset.n=200", "dataset.image_size=16", "dataset.channels=3"]
    status, output = run(classify, f"ckpt={trained}", *CNN, own)
    assert status == 0, output
    assert network.stat().st_mtime_ns == written
    status, output = run(classify, *CNN, *again, own)
    assert status == 0, output
    assert len(list(network.parent.glob("*.ckpt"))) == 1
    assert (network.parent.parent / "classify" / "scores.csv").is_file()


@pytest.mark.slow
def test_curves_go_over_all_checkpoints_from_the_untrained_one_on(train: Run, run: Run, tmp_path):
    train("callbacks.periodic.every_n_epochs=1")
    status, output = run(classify, f"ckpt={tmp_path}/run", *LINEAR, "classify.curve=true")
    assert status == 0, output
    curve = read_csv(tmp_path / "run" / "classify" / "last" / "curve.csv")
    assert [row["images_seen"] for row in curve] == ["0", "72", "144"]
    assert {"accuracy", "nmi/Smiling"} <= set(curve[0])
    # 3 metrics beside 10 labels
    assert series_in(tmp_path / "run" / "classify" / "last" / "curve.png") == set(COLOURS)


@pytest.mark.slow
def test_a_given_network_is_scored_instead_of_a_trained_one(
    run: Run, trained: Path, tmp_path: Path
):
    own = f"data_dir={tmp_path}/data"
    options = ["classify.attributes=[Smiling]", "cnn.weighting=balanced"]
    status, output = run(classify, f"ckpt={trained}", *CNN, *options, own)
    assert status == 0, output
    (row,) = read_csv(trained / "classify" / "last_cnn" / "scores.csv")
    assert (row["reads"], row["label"]) == ("cnn", "Smiling")

    # A second command in this process, with the first one's network.
    (network,) = tmp_path.glob("data/*/networks/*.ckpt")
    given = network.rename(tmp_path / "given.ckpt")
    options = ["classify.attributes=[Smiling]", f"cnn.ckpt={given}", f"out={tmp_path}/out"]
    status, output = run(classify, f"ckpt={trained}", *CNN, *options, own)
    assert status == 0, output
    assert read_csv(tmp_path / "out" / "scores.csv") == [row]
    assert not network.exists()
    status, output = run(classify, f"ckpt={trained}", *CNN, f"cnn.ckpt={given}", own)
    assert status == 2
    assert "given.ckpt predicts Smiling from images of 16 px with 3 channels; needed" in output


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("classify.probe=forest", "classify.probe must be one of logistic, svm, cnn"),
        ("classify.references=[pixles]", "classify.references must be a list of majority"),
        ("classify.labels=[1]", "whole numbers of at least 2, not 1."),
        ("classify.attributes=[Smilling]", "no Smilling; they have: "),
        ("classify.labels=100", "classify.labels must be a list like"),
        ("classify.attributes=Smiling", "classify.attributes must be a list like"),
        ("seed=4294967296", "seed must be a whole number of at least 0 and below 2**32"),
        ("classify.layers=[5]", "numbered 1 (at the image) to 2"),
        ("classify.probe=cnn classify.curve=true", "classify.curve=true follows the discriminator"),
        ("classify.bootstrap=1", "classify.bootstrap must be a whole number of at least 2, not 1."),
        ("n=0", "n must be a whole number of at least 1, not 0."),
        ("label=nowhere", "There is nothing at label=nowhere"),
        ("cnn.ckpt=nowhere.ckpt", "nowhere.ckpt is not a label classifier"),
        ("cnn.weighting=much", "cnn.weighting must be one of none, balanced"),
        ("ckpt=nowhere", "There is no checkpoint at nowhere"),
    ],
)
def test_what_cannot_be_classified_is_refused(finished_run: Path, option: str, sentence: str):
    probe = ["classify.probe=cnn"] if option.startswith("cnn.ckpt") else []
    cfg = composed("classify", *with_data_of_the_run([f"ckpt={finished_run}"]), *SMALL)
    with pytest.raises(InputError) as refused:
        classify.classify(changed(cfg, *probe, *option.split()))
    assert sentence in str(refused.value)
    assert not (finished_run / "classify").exists()


def test_a_mistake_is_one_sentence(run: Run, trained: Path):
    status, output = run(classify, f"ckpt={trained}", *SMALL, "classify.layers=[5]")
    assert status == 2
    assert "numbered 1 (at the image) to 2" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_half_a_network_is_never_kept(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(self: Classifier) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "on_validation_epoch_end", interrupt)
        status, output = run(classify, f"ckpt={trained}", *CNN, "seed=7", "cnn.max_epochs=9")
    assert status == 128 + signal.SIGTERM
    assert "the network is not finished and will be trained from the start" in output
    assert not (trained / "classify" / "last_cnn" / "scores.csv").exists()
    status, output = run(classify, f"ckpt={trained}", *CNN, "seed=7")
    assert status == 0, output
    assert "Training a network" in output
