"""k-means beside the training: what it writes, and that the training does not notice."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from facegan import train as train_module
from facegan.errors import InputError
from facegan.files import read_csv
from facegan.training.fit import fit
from tests.composing import build_experiment, changed, composed
from tests.conftest import TINY
from tests.shown import COLOURS, nearest_in, pixels, series_in

Train = Callable[..., tuple[int, str]]

SMALL = ["clustering.k=3", "clustering.n=40", "clustering.generated=20", "callbacks=[clusters]"]


def test_every_epoch_leaves_its_sheet_map_and_numbers(train: Train, tmp_path: Path):
    status, output = train(*SMALL)
    assert status == 0, output
    clusters = tmp_path / "run" / "clusters"
    for epoch in range(3):
        assert {0, 1, 2} <= series_in(clusters / f"map_{epoch:03d}.png")
        # A heading, and a row of 64 pixels and a frame per cluster.
        sheet = pixels(clusters / f"epoch_{epoch:03d}.png")
        assert len(sheet) == 20 + 3 * (64 + 2 * 2 * 4)
        assert all(images.std() > 10 for images in nearest_in(sheet, 16, 3, 6, 4))
    assert series_in(clusters / "curves.png") == set(COLOURS)  # of NMI with 12 labels
    written = read_csv(clusters / "metrics.csv")
    assert [row["epoch"] for row in written] == ["0", "1", "2"]
    assert [row["step"] for row in written] == ["0", "72", "144"]
    assert written[0]["stability"] == ""
    for row in written:
        shares = [float(row[f"share/{number}"]) for number in range(3)]
        assert sum(shares) == pytest.approx(1)
        assert 0 <= float(row["nmi/Smiling"]) <= 1
        assert 0 <= float(row["js"]) <= 0.7
    logged = [row for row in read_csv(tmp_path / "run" / "metrics.csv") if row["clusters/inertia"]]
    assert [row["step"] for row in logged] == ["0", "72", "144"]
    for ours, theirs in zip(written, logged, strict=True):
        assert float(ours["inertia"]) == pytest.approx(float(theirs["clusters/inertia"]), rel=1e-5)
    table = read_csv(clusters / "attributes.csv")
    assert {row["cluster"] for row in table} == {"0", "1", "2"}
    assert {"Smiling", "Eyeglasses"} <= {row["attribute"] for row in table}


def test_chosen_attributes_are_clustered_by_probes_after_every_epoch(train: Train, tmp_path: Path):
    chosen = ["clustering.attributes=[Smiling,Male]", "clustering.split=train"]
    status, output = train(*SMALL[1:], *chosen)
    assert status == 0, output
    clusters = tmp_path / "run" / "clusters"
    assert {0, 1, 2, 3} <= series_in(clusters / "map_002.png")
    sheet = pixels(clusters / "epoch_002.png")
    assert len(sheet) == 20 + 4 * (64 + 2 * 2 * 4)  # a row for each combination
    assert {0, 1, 2} <= series_in(clusters / "curves.png")  # NMI with both, and with both together
    written = read_csv(clusters / "metrics.csv")
    assert [row["epoch"] for row in written] == ["0", "1", "2"]
    for row in written:
        assert 0 <= float(row["nmi/combination"]) <= 1
        assert sum(float(row[f"share/{number}"]) for number in range(4)) == pytest.approx(1)
    compared = read_csv(clusters / "clusters.csv")
    assert [int(row["cluster"]) for row in compared] == [0, 1, 2, 3]
    assert sum(int(row["size"]) for row in compared) == 20  # the probes were fitted to the others
    assert sum(int(row["generated"]) for row in compared) == 20
    names = {row["cluster"]: row["name"] for row in compared}
    assert any(set(name.split(", ")) & {"Male", "not Male"} for name in names.values())
    for row in read_csv(clusters / "attributes.csv"):
        assert row["name"] == names[row["cluster"]]


@pytest.mark.slow
def test_clustering_does_not_change_the_training(train: Train, tmp_path: Path):
    train("callbacks=[checkpoints]", f"hydra.run.dir={tmp_path}/off")
    train(*SMALL[:-1], "callbacks=[clusters,checkpoints]", f"hydra.run.dir={tmp_path}/on")
    on, off = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("on", "off")
    )
    for key in ("state_dict", "optimizer_states", "images_seen"):
        assert str(on[key]) == str(off[key])
    for name, value in off["state_dict"].items():
        assert torch.equal(value, on["state_dict"][name]), name


@pytest.mark.slow
def test_resumed_clusters_are_those_of_an_uninterrupted_run(train: Train, tmp_path: Path):
    more = [*SMALL[:-1], "callbacks=[clusters,checkpoints]"]
    train(*more, "trainer.max_epochs=3", f"hydra.run.dir={tmp_path}/whole")
    train(*more, "trainer.max_epochs=2")
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=3")
    assert status == 0, output
    whole, resumed = (
        [{**row, "seconds": ""} for row in read_csv(tmp_path / name / "clusters" / "metrics.csv")]
        for name in ("whole", "run")
    )
    assert whole == resumed


@pytest.mark.slow
def test_clusters_of_other_images_are_not_a_warm_start(train: Train, tmp_path: Path):
    train(*SMALL[:-1], "callbacks=[clusters,checkpoints]", "trainer.max_epochs=1")
    status, output = train(f"resume={tmp_path}/run", "trainer.max_epochs=2", "clustering.seed=5")
    assert status == 0, output
    written = read_csv(tmp_path / "run" / "clusters" / "metrics.csv")
    assert [row["stability"] == "" for row in written] == [True, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("space", ["attributes", "pixels", "features"])
def test_other_spaces(train: Train, tmp_path: Path, space: str):
    chosen = "clustering.attributes=[Smiling,Male]"
    status, output = train(*SMALL, f"clustering.space={space}", chosen, "trainer.max_epochs=1")
    assert status == 0, output
    last = read_csv(tmp_path / "run" / "clusters" / "metrics.csv")[-1]
    named = {name.removeprefix("nmi/") for name in last if name.startswith("nmi/")}
    assert named == {"Smiling", "Male", "combination", "mean"}
    assert ("js" in last) == (space != "attributes")
    if space == "attributes":  # k-means on two binary columns has four answers at the most
        assert float(last["nmi/combination"]) > 0.8


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("clustering.attributes=[Smilling]", "no Smilling; they have: "),
        ("clustering.layers=[9]", "numbered 1 (at the image) to 2"),
        ("clustering.k=0", "clustering.k must be a whole number of at least 1"),
        ("clustering.space=colours", "clustering.space must be one of auto, probe"),
        ("callbacks.clusters.every_n_epochs=0", "every_n_epochs must be a whole number"),
    ],
)
def test_what_cannot_be_clustered_is_refused_before_training(
    tmp_path: Path, data_dir: Path, override: str, sentence: str
):
    cfg = composed("config", *TINY, *SMALL, "logger=none", "run_dir=run", f"data_dir={data_dir}")
    with pytest.raises(InputError) as refused:
        fit(build_experiment(changed(cfg, override)))
    assert sentence in str(refused.value)
    assert not (tmp_path / "run" / "clusters").exists()


@pytest.mark.slow
def test_pictures_without_labels_are_clustered_too(run, tmp_path: Path):
    for number in range(30):
        colour = (number * 8, 255 - number * 8, 90)
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{number}.png")
    overrides = [override for override in TINY if not override.startswith("dataset.n")]
    data = ["dataset=folder", f"dataset.root={tmp_path}", f"hydra.run.dir={tmp_path}/run"]
    status, output = run(train_module, *overrides, *SMALL, *data, "trainer.max_epochs=1")
    assert status == 0, output
    last = read_csv(tmp_path / "run" / "clusters" / "metrics.csv")[-1]
    assert "silhouette" in last
    assert not [name for name in last if name.startswith("nmi")]


@pytest.mark.slow
def test_tensorboard_shows_sheet_map_and_table(train: Train, tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(*SMALL, "logger=tensorboard", "trainer.max_epochs=1")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"clusters/sheet", "clusters/map", "clusters/curves"} <= set(tags["images"])
    assert "clusters/attributes/text_summary" in tags["tensors"]
    assert [event.step for event in events.Scalars("clusters/nmi/Smiling")] == [0, 72]
