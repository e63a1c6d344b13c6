"""A study called from Python, and new pictures assigned to its clusters."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegan.clusters import saved
from facegan.clusters.report import GENERATED, NEAREST, RANDOM
from facegan.clusters.settings import ClusterSettings
from facegan.clusters.study import study
from facegan.data.sources.folder import Folder
from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from facegan.files import read_csv
from facegan.gan.gan import GAN
from facegan.networks.weights import weights_key
from facegan.pictures.sheets import picture
from tests.clusters.conftest import small_gan


def settings(**values: Any) -> ClusterSettings:
    return ClusterSettings(**{"k": 3, "n": 40, "generated": 20, "components": 8, **values})


@pytest.fixture
def pictures(data: Synthetic, tmp_path: Path) -> Folder:
    """The first ten images of ``data``, as files."""
    (tmp_path / "pictures").mkdir()
    for row in range(10):
        image = picture(data.raw_images(np.array([row]))[0])
        image.save(tmp_path / "pictures" / f"{data.store.names[row]}.png")
    return Folder(
        name="predicted", root=str(tmp_path / "pictures"), data_dir=str(tmp_path), image_size=16
    )


def without(path: Path, *names: str, **changed: Any) -> None:
    """Rewrite an npz file without some arrays and with others changed."""
    with np.load(path) as file:
        arrays = {name: value for name, value in file.items() if name not in names}
    np.savez(path, **{**arrays, **changed})


def test_a_study_writes_what_it_returns(gan: GAN, data: Synthetic, tmp_path: Path):
    found = study(gan, data, settings(), tmp_path)
    assert found.clusters.sizes.sum() == 40
    assert len(found.generated) == 20
    assigned = read_csv(tmp_path / "assignments.csv")
    assert len({row["name"] for row in assigned}) == 40
    counts = np.bincount([int(row["cluster"]) for row in assigned], minlength=3)
    assert counts.tolist() == found.clusters.sizes.tolist()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["checkpoint"] is None
    assert metrics["inertia"] == pytest.approx(found.scores["inertia"])
    assert "# 3 clusters of 40 images" in (tmp_path / "report.md").read_text()
    assert {row["attribute"] for row in read_csv(tmp_path / "attributes.csv")} >= {"Smiling"}


def test_the_sheet_has_a_row_of_images_per_cluster(gan: GAN, data: Synthetic, tmp_path: Path):
    study(gan, data, settings(), tmp_path)
    with Image.open(tmp_path / "sheet.png") as file:
        sheet = np.asarray(file.convert("RGB")).astype(float)
    row = 64 + 4 * 4  # images of 16 px are enlarged four times, with a padding of 2
    body = sheet[-3 * row + 8 :]
    width = row * NEAREST  # at least as wide as the nearest and the random images together
    assert sheet.shape[1] > width + (row - 16) * (RANDOM + GENERATED)
    for number in range(3):
        assert body[row * number : row * number + row // 2, -row * GENERATED :].std() > 10


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Ninety noisy squares in three colours, each in a folder of its name."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for name, colour in {"blue": (0, 0, 200), "green": (0, 200, 0), "red": (200, 0, 0)}.items():
        (root / "pictures" / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.clip(colour + rng.normal(0, 10, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "pictures" / name / f"{number}.png")
    return Folder(root=str(root / "pictures"), data_dir=str(root), image_size=16)


def test_classes_are_found_again_in_images_that_the_probe_has_not_seen(
    gan: GAN, colours: Folder, tmp_path: Path
):
    chosen = ClusterSettings(attributes=["class"], n=None, split="train", generated=20)
    found = study(gan, colours, chosen, tmp_path)
    assert found.scores["nmi/class"] == found.scores["ari/class"] == pytest.approx(1)
    assert sorted(found.names) == ["class blue", "class green", "class red"]
    rows = read_csv(tmp_path / "assignments.csv")
    for row in rows:
        colour = row["name"].split("/")[0]
        assert found.names[int(row["cluster"])] == f"class {colour}"
        heads = {name: float(row[f"class={name}"]) for name in ("blue", "green", "red")}
        assert max(heads, key=heads.__getitem__) == colour
        assert sum(heads.values()) == pytest.approx(1, abs=1e-3)
    compared = read_csv(tmp_path / "clusters.csv")
    assert [row["name"] for row in compared] == found.names
    assert sum(int(row["generated"]) for row in compared) == 20
    assert f"none of the {len(rows)} that the probes were fitted to" in found.images
    assert found.images in (tmp_path / "report.md").read_text()


def test_two_studies_of_the_same_network_agree(gan: GAN, data: Synthetic, tmp_path: Path):
    first, second = (study(gan, data, settings(), tmp_path / name) for name in "ab")
    assert first.scores == second.scores
    assert (tmp_path / "a" / "sheet.png").read_bytes() == (tmp_path / "b/sheet.png").read_bytes()


@pytest.mark.parametrize("space", ["features", "pixels", "probe"])
def test_pictures_that_were_clustered_are_assigned_to_their_clusters(
    gan: GAN, data: Synthetic, pictures: Folder, tmp_path: Path, space: str
):
    study(gan, data, settings(space=space, n=None, split="train"), tmp_path)
    expected = {row["name"]: row for row in read_csv(tmp_path / "assignments.csv")}
    found = saved.assign(gan, pictures, tmp_path)
    rows = {row["name"].removesuffix(".png"): row for row in read_csv(tmp_path / "predictions.csv")}
    both = rows.keys() & expected.keys()
    assert len(both) >= 3  # the others are in val and test, or probes were fitted to them
    for name in both:
        if space == "probe":
            for head in ("Smiling", "Male"):
                same = pytest.approx(float(expected[name][head]), abs=1e-3)
                assert float(rows[name][head]) == same
        assert rows[name]["cluster"] == expected[name]["cluster"]
        distance = float(expected[name]["distance"])
        assert float(rows[name]["distance"]) == pytest.approx(distance, abs=1e-3)
    for name, number in zip(pictures.store.names, found.assignments, strict=True):
        assert rows[name.removesuffix(".png")]["cluster"] == str(number)
    study(gan, data, settings(space=space), tmp_path)
    assert not list(tmp_path.glob("predictions.*"))  # they belonged to the clusters replaced


@pytest.mark.parametrize("space", ["features", "probe"])
def test_another_network_after_as_many_images_is_recognised(
    gan: GAN, data: Synthetic, pictures: Folder, tmp_path: Path, space: str
):
    study(gan, data, settings(space=space), tmp_path)
    other = small_gan(seed=1)
    assert other.images_seen == gan.images_seen
    with pytest.raises(InputError, match="weights of this discriminator are not those"):
        saved.assign(other, pictures, tmp_path)
    assert not list(tmp_path.glob("predictions.*"))


def test_clusters_of_pixels_belong_to_no_network(data: Synthetic, pictures: Folder, tmp_path: Path):
    study(small_gan(0), data, settings(space="pixels"), tmp_path)
    assert len(saved.assign(small_gan(1), pictures, tmp_path).assignments) == 10


def test_clusters_of_chosen_layers_are_not_taken_for_others(
    gan: GAN, data: Synthetic, pictures: Folder, tmp_path: Path
):
    study(gan, data, settings(layers=[2]), tmp_path)
    first = saved.assign(gan, pictures, tmp_path)
    second = saved.assign(gan, pictures, tmp_path, layers=[2])
    assert np.array_equal(first.assignments, second.assignments)
    with pytest.raises(InputError, match=r"are of layers \[2\], not of layers \[1\]"):
        saved.assign(gan, pictures, tmp_path, layers=[1])


def test_files_of_older_versions_are_compared_by_images_seen(
    gan: GAN, data: Synthetic, pictures: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    study(gan, data, settings(), tmp_path)
    assert saved.load(tmp_path).network == weights_key(gan.discriminator)
    without(tmp_path / saved.FILE, "network")
    with caplog.at_level(logging.WARNING):
        saved.assign(gan, pictures, tmp_path)
    assert "only the number of images seen was compared" in caplog.text
    without(tmp_path / saved.FILE, images_seen=np.array(7))
    with pytest.raises(InputError, match="cluster again"):
        saved.assign(gan, pictures, tmp_path)


def test_a_damaged_file_is_refused(gan: GAN, data: Synthetic, pictures: Folder, tmp_path: Path):
    study(gan, data, settings(), tmp_path)
    path = tmp_path / saved.FILE
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is damaged or does not hold clusters"):
            saved.assign(gan, pictures, tmp_path)


def test_nothing_is_read_where_nothing_can_be_written(
    gan: GAN, data: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(data, "images", None)  # to read any would be an error
    with pytest.raises(InputError, match="Nothing can be written to"):
        study(gan, data, settings(), tmp_path / "file" / "out")


def test_names_that_are_not_utf_8_are_reported(gan: GAN, data: Synthetic, tmp_path: Path):
    for number in range(12):
        folder = tmp_path / "root" / ("\udcff" if number % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        picture(data.raw_images(np.array([number]))[0]).save(folder / f"{number}.png")
    root = str(tmp_path / "root")
    labelled = Folder(name="named", root=root, data_dir=str(tmp_path), image_size=16)
    study(gan, labelled, settings(n=None, generated=0), tmp_path / "out")
    assert (tmp_path / "out" / "report.md").is_file()
