"""``python -m facegan.evaluate`` on a tiny run."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from facegan import classify, evaluate, load_gan, sample
from facegan.cli.run_data import with_data_of_the_run
from facegan.errors import InputError
from facegan.gan.gan import GAN
from facegan.pictures.scaling import to_uint8
from tests.composing import changed, composed
from tests.shown import images_in, pixels, series_in

Run = Callable[..., tuple[int, str]]

SMALL = ["n=100", "kid_subsets=5", "kid_subset_size=50"]
PIXELS = [*SMALL, "extractor.kind=pixels", "metrics=[kd,prdc,swd]"]


def drawn(run_dir: Path, numbers: range) -> np.ndarray:
    """Images (n, 16, 16, 3) of the generator of a run that is evaluated on 100."""
    images = load_gan(run_dir, "cpu").images_of(100, seed=0)(np.array(numbers))
    return to_uint8(images).permute(0, 2, 3, 1).numpy()


def test_a_generator_is_scored_and_the_real_vectors_are_kept(
    run: Run, trained: Path, tmp_path: Path
):
    options = [f"ckpt={trained}", *PIXELS, f"data_dir={tmp_path}/data"]
    status, output = run(evaluate, *options)
    assert status == 0, output
    found = json.loads((trained / "evaluation" / "last" / "evaluation.json").read_text())
    assert {"kd_pixels", "precision_pixels", "coverage_pixels", "swd", "swd/16"} <= set(found)
    assert found["kd_pixels"]["value"] > 0  # noise after one epoch
    assert found["precision_pixels"]["n"] == found["n"] == 100
    assert len(found["sha256"]) == 64
    assert "facegan.evaluate" in found["command"]
    assert "kd_pixels" in output
    sheet = pixels(trained / "evaluation" / "last" / "generated.png")
    assert np.array_equal(images_in(sheet, 16, 8), drawn(trained, range(64)))
    kept = list((tmp_path / "data").glob("*/vectors/pixels-16-*.npy"))
    assert len(kept) == 1
    again = np.load(kept[0])
    np.save(kept[0], again + 1)  # believed, not read anew
    status, output = run(evaluate, *options)
    changed = json.loads((trained / "evaluation" / "last" / "evaluation.json").read_text())
    assert changed["kd_pixels"]["value"] > found["kd_pixels"]["value"]
    assert changed["swd"] == found["swd"]


@pytest.mark.slow
def test_the_network_of_classify_compares_by_what_it_has_learned(run: Run, trained: Path):
    own = f"data_dir={trained}/data"  # where no other test has left a network
    status, output = run(evaluate, f"ckpt={trained}", *SMALL, own, "metrics=[fd]")
    assert status == 2
    assert "classify.probe=cnn" in output
    small = ["classify.bootstrap=10", "classify.probe=cnn", "cnn.max_epochs=1", "cnn.width=4", own]
    status, output = run(classify, f"ckpt={trained}", *small)
    assert status == 0, output
    options = [f"ckpt={trained}", *SMALL, own, "metrics=[fid,kid,prevalence,msssim]"]
    status, output = run(evaluate, *options)
    assert status == 0, output
    found = json.loads((trained / "evaluation" / "last" / "evaluation.json").read_text())
    assert found["fd_cnn"]["value"] > 0
    assert found["fd_cnn"]["error"] >= 0
    assert "fid" not in found
    assert "fid_cnn" not in found
    shares = found["prevalence_cnn"]["labels"]["Smiling"]
    assert 0 <= shares["real"] <= 1
    assert 0 < found["msssim"]["real"] < 1
    assert series_in(trained / "evaluation" / "last" / "prevalence.png") == {0, 1}

    # Another network of the same labels: which one is meant has to be said.
    status, output = run(classify, f"ckpt={trained}", *small, "cnn.lr=1e-4")
    assert status == 0, output
    status, output = run(evaluate, *options)
    assert status == 2
    assert "Several networks predict the labels" in output
    network = sorted(trained.glob("data/*/networks/*.ckpt"))[0]
    status, output = run(evaluate, *options, f"extractor.weights={network}")
    assert status == 0, output


@pytest.mark.slow
def test_a_folder_of_pictures_is_scored_with_the_same_ruler(
    run: Run, trained: Path, tmp_path: Path
):
    pictures, alone = tmp_path / "pictures", tmp_path / "alone"
    run(sample, f"ckpt={trained}", "n=100", f"out={pictures}")
    size = ["dataset.image_size=16", "dataset.channels=3", f"data_dir={tmp_path}/data"]
    data = ["dataset=synthetic", "dataset.n=200", *size]
    status, output = run(evaluate, f"samples={pictures}", *PIXELS, *data, f"out={alone}")
    assert status == 0, output
    run(evaluate, f"ckpt={trained}", *PIXELS, f"data_dir={tmp_path}/data")
    theirs = json.loads((alone / "evaluation.json").read_text())
    assert theirs["of"] == 100  # and not the sheet of all of them
    ours = json.loads((trained / "evaluation" / "last" / "evaluation.json").read_text())
    for name in ("kd_pixels", "coverage_pixels", "swd"):
        assert theirs[name]["value"] == pytest.approx(ours[name]["value"], rel=1e-3), name


@pytest.mark.slow
def test_a_folder_of_training_images_is_taken_for_copies(run: Run, tmp_path: Path):
    from facegan.data.sources.synthetic import Synthetic
    from facegan.pictures.sheets import picture

    data = Synthetic(n=1200, image_size=16, data_dir=str(tmp_path / "data"))
    copies = tmp_path / "copies"
    copies.mkdir()
    for row in data.train_rows()[:80]:
        picture(data.raw_images(np.array([row]))[0]).save(copies / f"{row}.png")
    options = ["dataset=synthetic", "dataset.n=1200", "dataset.image_size=16", "dataset.channels=3"]
    options += ["extractor.kind=pixels", "metrics=[new]", f"data_dir={tmp_path}/data"]
    status, output = run(evaluate, f"samples={copies}", *options)
    assert status == 0, output
    found = json.loads((tmp_path / "copies_evaluation" / "evaluation.json").read_text())
    assert found["copies_pixels"]["copier"] is True
    assert "it repeats training images" in output
    generated, real = np.split(pixels(tmp_path / "copies_evaluation" / "nearest.png"), 2)
    assert np.array_equal(images_in(generated, 16, 12), images_in(real, 16, 12))

    shutil.rmtree(copies)  # real images that were held out are no copies
    copies.mkdir()
    for row in data.store.rows("val"):
        picture(data.raw_images(np.array([row]))[0]).save(copies / f"{row}.png")
    run(evaluate, f"samples={copies}", *options)
    found = json.loads((tmp_path / "copies_evaluation" / "evaluation.json").read_text())
    assert found["copies_pixels"]["copier"] is False


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["metrics=[fide]"], "metrics must be a list of fd, kd, is, prdc, swd, msssim, prevalence"),
        (["metrics=[is]"], "needs a network that predicts classes, not pixels"),
        (["metrics=[prevalence]"], "set extractor.kind=cnn"),
        (["metrics=[fd]"], "768 features from 100 images has a singular covariance"),
        (["kid_subset_size=500"], "set kid_subset_size=100 or less"),
        (["metrics=[new]"], "100 held-out real images or more: there are 20"),
        (
            ["extractor.kind=inceptoin"],
            "must be pixels, cnn, inception or a model",
        ),
        (["extractor.kind=cnn", "extractor.weights=no.ckpt"], "no.ckpt is not a label classifier"),
        (["samples=here"], "ckpt=FILE or RUN_DIR, samples=DIR, or 'compare="),
        (["n=0"], "n must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(finished_run: Path, options: list[str], sentence: str):
    cfg = composed("evaluate", *with_data_of_the_run([f"ckpt={finished_run}"]), *PIXELS)
    with pytest.raises(InputError) as refused:
        evaluate.evaluate(changed(cfg, *options))
    assert sentence in str(refused.value)
    assert not (finished_run / "evaluation").exists()


def test_a_mistake_is_one_sentence(run: Run, trained: Path):
    status, output = run(evaluate, f"ckpt={trained}", *PIXELS, "metrics=[fide]")
    assert status == 2
    assert "metrics must be a list of fd, kd, is" in output
    assert "Traceback" not in output
    assert not (trained / "evaluation").exists()


def test_a_network_for_another_size_is_refused(run: Run, trained: Path, tmp_path: Path):
    from facegan.features.classifier import Classifier

    network = Classifier(32, 3, 4, ["Smiling"], [0], [0.5])
    path = tmp_path / "larger.ckpt"
    torch.save(
        {"state_dict": network.state_dict(), "hyper_parameters": dict(network.hparams)}, path
    )
    options = [*SMALL, "metrics=[kd]", "extractor.kind=cnn", f"extractor.weights={path}"]
    status, output = run(evaluate, f"ckpt={trained}", *options)
    assert status == 2
    assert "reads (3, 32) (channels, pixels), and synthetic has (3, 16)" in output


def test_with_inception_scores_have_their_usual_names(
    run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Network(torch.nn.Module):
        """In the place of torch-fidelity's Inception, which takes seconds."""

        def __init__(self, name: str, outputs: list[str], feature_extractor_weights_path: str):
            super().__init__()
            self.fc = torch.nn.Linear(3, 1008)
            self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True))
            self.outputs = outputs

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            features = images.float().mean((2, 3)) / 255
            return (features, self.fc(features))[: len(self.outputs)]

    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Network
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.manual_seed(0)
    torch.save(
        {"fc.weight": torch.randn(1008, 3), "fc.bias": torch.zeros(1008)}, tmp_path / "net.pt"
    )
    inception = ["extractor.kind=inception", f"extractor.weights={tmp_path}/net.pt"]
    metrics = "metrics=[fid,kid,is,prdc]"
    status, output = run(evaluate, f"ckpt={trained}", *SMALL, *inception, metrics)
    assert status == 0, output
    out = trained / "evaluation" / "last" / "evaluation.json"
    found = json.loads(out.read_text())
    assert {"fid", "kid", "is", "precision", "coverage"} <= set(found)
    assert found["extractor"]["name"] == "inception"
    assert 1 <= found["is"]["value"] <= 1008
    status, output = run(
        evaluate, f"ckpt={trained}", *SMALL, *inception, "extractor.layer=64", "metrics=[kid]"
    )
    assert status == 0, output
    assert "kd_inception_64" in json.loads(out.read_text())

    (tmp_path / "net.pt").write_text("no weights")
    status, output = run(evaluate, f"ckpt={trained}", *SMALL, *inception, metrics)
    assert status == 2
    assert "name the file in extractor.weights" in output


def test_nothing_is_measured_where_nothing_can_be_written(run: Run, trained: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    status, output = run(evaluate, f"ckpt={trained}", *PIXELS, f"out={tmp_path}/file/out")
    assert status == 2
    assert "Nothing can be written" in output
    assert "kd_pixels" not in output


@pytest.mark.slow
def test_a_generator_is_within_the_noise_of_itself_and_not_of_another(
    run: Run, trained: Path, tmp_path: Path
):
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    path = other / "checkpoints" / "last.ckpt"
    saved = torch.load(path, weights_only=True)
    for name, values in saved["state_dict"].items():
        if name.startswith("generator_ema") and name.endswith("weight") and values.dim() == 4:
            values.mul_(0.2)
    torch.save(saved, path)
    options = ["n=100", "extractor.kind=pixels", "metrics=[kd,prdc,swd]"]
    status, output = run(evaluate, f"compare=[{trained},{other}]", *options)
    assert status == 0, output
    out = trained / "evaluation" / "last" / "against_other"
    found = json.loads((out / "comparison.json").read_text())
    assert found["kd_pixels"]["p"] < found["level"]
    assert found["kd_pixels"]["better"] in ("first", "second")
    assert "is better" in output
    strips = np.split(pixels(out / "comparison.png"), 2)
    for run_dir, strip in zip((trained, other), strips, strict=True):
        assert np.array_equal(images_in(strip, 16, 16), drawn(run_dir, range(16)))
    for key in ("first", "second"):
        alone = json.loads((out / key / "evaluation.json").read_text())
        assert alone["kd_pixels"]["value"] == found["kd_pixels"][key]
    assert "trained on other data" not in output

    saved_config = other / ".hydra" / "config.yaml"
    saved_config.write_text(saved_config.read_text().replace("limit: null", "limit: 30"))
    few = ["n=20", "extractor.kind=pixels", "metrics=[kd]"]
    status, output = run(evaluate, f"compare=[{trained},{other}]", *few)
    assert status == 0, output
    assert "other was trained on other data (dataset.limit)" in output

    twin = Path(shutil.copytree(trained, tmp_path / "twin"))
    status, output = run(evaluate, f"compare=[{trained},{twin}]", *options, f"out={tmp_path}/out")
    assert status == 0, output
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["swd"]["difference"] == 0
    assert found["swd"]["better"] is None
    assert "is better" not in output


@pytest.mark.parametrize(
    ("given", "sentence"),
    [("[one]", "compare takes two runs, not 1"), ("one", "compare must be a list like")],
)
def test_a_comparison_takes_two_runs(run: Run, given: str, sentence: str):
    status, output = run(evaluate, f"compare={given}")
    assert status == 2
    assert sentence in output


def test_runs_of_other_image_sizes_are_not_compared(run: Run, trained: Path, tmp_path: Path):
    other = Path(shutil.copytree(trained, tmp_path / "other"))
    path = other / "checkpoints" / "last.ckpt"
    saved = torch.load(path, weights_only=True)
    saved["hyper_parameters"]["image_size"] = 32
    saved["state_dict"] = GAN(**saved["hyper_parameters"]).state_dict()
    torch.save(saved, path)
    status, output = run(evaluate, f"compare=[{trained},{other}]", *PIXELS)
    assert status == 2
    sentence = "run draws 16 px with 3 channels, other 32 px with 3: they cannot be compared."
    assert sentence in output
    assert not (trained / "evaluation").exists()


@pytest.mark.slow
def test_training_improves_the_averaged_generator(train: Run, run: Run, tmp_path: Path):
    status, output = train("dataset.n=200", "trainer.max_epochs=15", "callbacks=[checkpoints]")
    assert status == 0, output
    broken = Path(shutil.copytree(tmp_path / "run", tmp_path / "broken"))
    path = broken / "checkpoints" / "last.ckpt"
    saved = torch.load(path, weights_only=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = GAN(**saved["hyper_parameters"])
    saved["state_dict"] |= {  # an average that is never updated
        name: values
        for name, values in untrained.state_dict().items()
        if name.startswith("generator_ema")
    }
    torch.save(saved, path)
    options = [
        "n=100",
        "extractor.kind=pixels",
        "metrics=[kd,swd]",
        "kid_subsets=10",
        f"out={tmp_path}/out",
    ]
    status, output = run(evaluate, f"compare=[{tmp_path}/run,{broken}]", *options)
    assert status == 0, output
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["kd_pixels"]["better"] == "first"
