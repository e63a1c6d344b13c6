"""Every data set and experiment through the command line that ships, on small made-up files."""

from pathlib import Path

import numpy as np
import pytest

from facegan import train as train_module
from facegan.cli.conf import CONF_DIR
from facegan.files import read_csv
from tests.conftest import run_main
from tests.data.fakes import ATTRIBUTES, FakeCelebA, jpeg, write_mnist
from tests.shown import images_in, nearest_in, pixels

pytestmark = pytest.mark.slow

TINY = [
    *("dataset.image_size=16", "dataset.batch_size=4", "model.width_g=4", "model.width_d=4"),
    *("model.latent_dim=8", "trainer.accelerator=cpu", "trainer.max_epochs=1"),
    *("trainer.limit_train_batches=2", "trainer.enable_progress_bar=false", "clustering.k=3"),
    *("clustering.n=16", "clustering.generated=8", "quality.n=16", "quality.real=16"),
]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the files of each data set are."""
    directory = tmp_path_factory.mktemp("data")
    pictures = directory / "pictures"
    pictures.mkdir()
    for number in range(24):
        (pictures / f"{number}.jpg").write_bytes(jpeg(number, (40, 40)))
    return {
        "celeba": FakeCelebA(list(range(1, 61))).write(directory / "celeba"),
        "mnist": write_mnist(directory / "mnist"),
        "folder": pictures,
    }


def train(at: Path, *arguments: str) -> None:
    run_main(train_module, *arguments, "hydra.run.dir=run", at=at)


def check_run(run_dir: Path, images: int, size: int = 16) -> None:
    """Checkpoint, metrics, faces and clusters of a finished tiny run."""
    assert (run_dir / "checkpoints" / "last.ckpt").is_file()
    assert max(int(row["step"]) for row in read_csv(run_dir / "metrics.csv")) == images
    faces = images_in(pixels(run_dir / "samples" / "epoch_001.png"), size, columns=8)
    assert len(np.unique(faces, axis=0)) == 64
    rows = read_csv(run_dir / "clusters" / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for images in nearest_in(pixels(run_dir / "clusters" / "epoch_001.png"), size, 3, 6, 4):
        assert images.std() > 10


@pytest.mark.parametrize("devices", [1, 2])
def test_celeba_trains_on_one_and_two_devices(tmp_path: Path, roots: dict[str, Path], devices: int):
    data = ["dataset=celeba", f"dataset.root={roots['celeba']}", f"data_dir={tmp_path}/data"]
    train(tmp_path, *data, *TINY, f"trainer.devices={devices}")
    check_run(tmp_path / "run", images=8 * devices)
    attributes = {row["attribute"] for row in read_csv(tmp_path / "run/clusters/attributes.csv")}
    assert attributes <= set(ATTRIBUTES)


@pytest.mark.parametrize("dataset", ["mnist", "folder"])
def test_other_data_sets_train(tmp_path: Path, roots: dict[str, Path], dataset: str):
    size = ["dataset.image_size=28"] if dataset == "mnist" else []
    data = [f"dataset={dataset}", f"dataset.root={roots[dataset]}", f"data_dir={tmp_path}/data"]
    train(tmp_path, *data, *TINY, *size)
    check_run(tmp_path / "run", images=8, size=28 if dataset == "mnist" else 16)


@pytest.mark.parametrize("experiment", sorted(p.stem for p in CONF_DIR.glob("experiment/*.yaml")))
def test_every_experiment_runs_one_batch(tmp_path: Path, roots: dict[str, Path], experiment: str):
    """``debug=fdr`` as people use it: does everything work before the long run is started?"""
    root = next(path for name, path in roots.items() if experiment.startswith(name))
    narrow = ["model.width_g=4", "model.width_d=4", "dataset.batch_size=4"]
    data = [f"dataset.root={root}", f"data_dir={tmp_path}/data"]
    train(tmp_path, f"experiment={experiment}", "debug=fdr", *narrow, *data)
