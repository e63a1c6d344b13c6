"""``python -m facegan.cluster`` on a tiny run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegan import cluster, sample
from facegan.cli.run_data import with_data_of_the_run
from facegan.data.packing.store import Store
from facegan.errors import InputError
from facegan.files import read_csv
from tests.composing import changed, composed
from tests.shown import nearest_in, pixels, series_in

Run = Callable[..., tuple[int, str]]

SMALL = ["clustering.k=3", "clustering.generated=20"]


def stored(data_dir: Path) -> np.ndarray:
    """The images (200, 16, 16, 3) that ``trained`` was trained on."""
    store = next(s for s in map(Store, data_dir.glob("synthetic-16px-*")) if len(s) == 200)
    return np.moveaxis(np.asarray(store.images), 1, -1)


def test_a_run_is_clustered_on_the_data_it_was_trained_on(run: Run, trained: Path, data_dir: Path):
    status, output = run(cluster, f"ckpt={trained}", *SMALL)
    assert status == 0, output
    out = trained / "clusters" / "last"
    assigned = read_csv(out / "assignments.csv")
    assert len(assigned) == len({row["name"] for row in assigned}) == 180  # all of the split
    with np.load(out / "centroids.npz") as saved:
        assert len(saved["centroids"]) == 3
        counts = np.bincount([int(row["cluster"]) for row in assigned], minlength=3)
        assert saved["sizes"].tolist() == counts.tolist()
    assert (out / "report.md").read_text() in output
    assert "| Smiling | " in output
    assert json.loads((out / "metrics.json").read_text())["data"] == "synthetic"
    assert {0, 1, 2} <= series_in(out / "map.png")
    real = {image.tobytes() for image in stored(data_dir)}
    for images, size in zip(
        nearest_in(pixels(out / "sheet.png"), 16, 3, 6, 4), counts, strict=True
    ):
        assert sum(image.tobytes() in real for image in images) == min(6, size)
    assert {row["attribute"] for row in read_csv(out / "attributes.csv")} >= {"Smiling", "Male"}


def test_single_settings_of_the_data_can_be_changed(run: Run, trained: Path, tmp_path: Path):
    options = ["dataset.n=40", "clustering.split=val", f"out={tmp_path}/there"]
    status, output = run(cluster, f"ckpt={trained}/checkpoints/last.ckpt", *SMALL, *options)
    assert status == 0, output
    assert len(read_csv(tmp_path / "there" / "assignments.csv")) == 2


@pytest.mark.slow
def test_new_pictures_are_assigned_like_the_ones_the_clusters_come_from(
    run: Run, trained: Path, data_dir: Path, tmp_path: Path
):
    run(cluster, f"ckpt={trained}", *SMALL)
    out = trained / "clusters" / "last"
    clustered = {row["name"]: row for row in read_csv(out / "assignments.csv")}
    store = next(s for s in map(Store, data_dir.glob("synthetic-16px-*")) if len(s) == 200)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name, image in zip(store.names[:10], stored(data_dir)[:10], strict=True):
        Image.fromarray(image).save(pictures / f"{name}.png")
    options = [f"predict={pictures}", f"data_dir={tmp_path}/data"]
    status, output = run(cluster, f"ckpt={trained}", *SMALL, *options)
    assert status == 0, output
    predicted = read_csv(out / "predictions.csv")
    assert len(predicted) == 10
    for row in predicted:
        expected = clustered[row["name"].removesuffix(".png")]
        assert row["cluster"] == expected["cluster"]
        assert float(row["distance"]) == pytest.approx(float(expected["distance"]), abs=1e-3)
    sizes = np.bincount([int(row["cluster"]) for row in predicted], minlength=3)
    given = {image.tobytes() for image in stored(data_dir)[:10]}
    for images, size in zip(
        nearest_in(pixels(out / "predictions.png"), 16, 3, 6), sizes, strict=True
    ):
        assert sum(image.tobytes() in given for image in images) == min(6, size)
    run(cluster, f"ckpt={trained}", *SMALL)
    assert not list(out.glob("predictions.*"))  # into clusters that are no more


def test_a_run_is_clustered_by_attributes_and_pictures_are_sorted_by_them(
    run: Run, trained: Path, tmp_path: Path
):
    chosen = "clustering.attributes=[Smiling,Male]"
    status, output = run(cluster, f"ckpt={trained}", SMALL[1], chosen, "clustering.split=train")
    assert status == 0, output
    out = trained / "clusters" / "last"
    assigned = read_csv(out / "assignments.csv")
    assert len(assigned) == 90  # the probes were fitted to the other half
    assert "Agreement with the labels of 90 train images, none of the 90 that" in output
    pictures = [f"predict={out}", f"data_dir={tmp_path}/data"]
    status, output = run(cluster, f"ckpt={trained}", *pictures)
    assert status == 0, output
    for row in [*assigned, *read_csv(out / "predictions.csv")]:
        assert 0 <= float(row["Smiling"]) <= 1
        assert 0 <= float(row["Male"]) <= 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["predict=nowhere"], "predict=nowhere is not a directory"),
        (["predict=."], "There are no clusters in"),
        (["clustering.attributes=[Smilling]"], "no Smilling; they have: "),
        (["clustering.k=-1"], "clustering.k must be a whole number"),
        (["dataset.image_size=32"], "was trained with dataset.image_size=16, not 32"),
        (["clustering.layers=[7]"], "numbered 1 (at the image) to 2"),
        (["seed=-1"], "seed must be a whole number"),
    ],
)
def test_what_cannot_be_clustered_is_refused(finished_run: Path, options: list[str], sentence: str):
    cfg = composed("cluster", *with_data_of_the_run([f"ckpt={finished_run}"]), *SMALL)
    with pytest.raises(InputError) as refused:
        cluster.cluster(changed(cfg, *options))
    assert sentence in str(refused.value)
    assert not (finished_run / "clusters").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["dataset=mnist"], "image_size must be one of 28, 32, 64 for MNIST"),
        (["dataset.nn=3"], "There is no configuration key dataset.nn"),
    ],
)
def test_a_mistake_is_one_sentence(run: Run, trained: Path, options: list[str], sentence: str):
    status, output = run(cluster, f"ckpt={trained}", *SMALL, *options)
    assert status == 2
    assert sentence in output
    assert "Traceback" not in output
    assert not (trained / "clusters").exists()


def test_a_checkpoint_outside_a_run_directory_needs_a_dataset(
    run: Run, trained: Path, tmp_path: Path
):
    alone = shutil.copy(trained / "checkpoints" / "last.ckpt", tmp_path / "alone.ckpt")
    status, output = run(cluster, f"ckpt={alone}")
    assert status == 2
    assert "Say which data to use" in output
    status, output = run(cluster)
    assert status == 2
    assert "Say whose features to cluster" in output
    status, output = run(sample, f"ckpt={alone}", "n=1")  # which needs no data
    assert status == 0, output


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A directory with a picture."""
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (20, 20), "pink").save(tmp_path / "pictures" / "one.png")
    return tmp_path / "pictures"


@pytest.mark.slow
def test_attributes_cannot_be_predicted(run: Run, trained: Path, pictures: Path):
    space = "clustering.space=attributes"
    status, output = run(cluster, f"ckpt={trained}", *SMALL, space)
    assert status == 0, output
    status, output = run(cluster, f"ckpt={trained}", *SMALL, space, f"predict={pictures}")
    assert status == 2
    assert "pictures without labels cannot be assigned" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [["model.norm_d=group"], ["model.norm_d=none", "model.spectral_norm=true"]]
)
def test_a_network_without_batch_norm_predicts_and_a_later_checkpoint_is_refused(
    train: Run, run: Run, tmp_path: Path, network: list[str]
):
    train(*network, "trainer.max_epochs=1")
    ckpt = f"ckpt={tmp_path}/run"
    run(cluster, ckpt, *SMALL)
    options = [f"predict={tmp_path}/run/samples", f"data_dir={tmp_path}/data"]
    status, output = run(cluster, ckpt, *SMALL, *options)
    assert status == 0, output
    train(f"resume={tmp_path}/run", "trainer.max_epochs=2")
    status, output = run(cluster, ckpt, *SMALL, *options)
    assert status == 2
    assert "cluster again" in output


@pytest.mark.slow
def test_another_run_with_as_many_images_seen_is_refused(
    train: Run, run: Run, trained: Path, tmp_path: Path, pictures: Path
):
    more = ["dataset.n=200", "trainer.max_epochs=1", "callbacks=[checkpoints]", "seed=1"]
    train(*more, f"hydra.run.dir={tmp_path}/other")
    run(cluster, f"ckpt={trained}", *SMALL)
    out = trained / "clusters" / "last"
    status, output = run(cluster, f"ckpt={tmp_path}/other", f"predict={pictures}", f"out={out}")
    assert status == 2
    assert "are not those whose features were clustered" in output


def test_out_that_cannot_be_written_is_refused(run: Run, trained: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    for _ in range(2):  # the second command in a process, too, ends in a sentence
        status, output = run(cluster, f"ckpt={trained}", *SMALL, f"out={tmp_path}/file/out")
        assert status == 2
        assert "Nothing can be written to" in output
        assert "Traceback" not in output
