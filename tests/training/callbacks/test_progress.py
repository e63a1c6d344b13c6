"""The bar shows images seen and epochs from 1, and is updated now and then."""

import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.demos.boring_classes import BoringModel

from facegan.cli import experiment
from facegan.files import read_csv
from facegan.training.callbacks import progress


class Shown(progress.ProgressBar):
    """A bar that keeps, after every batch, how many batches it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.descriptions: list[str] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        super().on_train_batch_end(trainer, *arguments)
        self.batches.append(self.train_progress_bar.n)
        self.descriptions.append(self.train_progress_bar.desc)


def fit(model: BoringModel, directory: Path, **options: Any) -> None:
    pl.Trainer(
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=directory,
        **options,
    ).fit(model)


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Shown:
    """The bar of two epochs of six batches, which take 0.04 s each by its clock."""
    clock = (0.02 * tick for tick in count())
    now = [0.0]

    def tick() -> float:
        now[0] = next(clock)
        return now[0]

    monkeypatch.setattr(progress, "perf_counter", tick)
    shown = Shown()
    fit(BoringModel(), tmp_path, callbacks=[shown], max_epochs=2, limit_train_batches=6)
    return shown


def test_the_bar_is_updated_now_and_then_and_at_the_end_of_an_epoch(bar: Shown):
    assert bar.batches[0] == 1
    assert bar.batches[5] == bar.batches[11] == 6  # the last batch of each epoch
    assert len(set(bar.batches[:5])) < 5  # not after every batch


def test_epochs_count_from_one(bar: Shown):
    assert bar.descriptions[0].startswith("Epoch 1/2")
    assert bar.descriptions[-1].startswith("Epoch 2/2")


def test_the_bar_of_a_training_shows_images_seen(
    train: Callable[..., tuple[int, str]], monkeypatch
):
    monkeypatch.setattr(experiment, "on_terminal", lambda: True)
    status, output = train(
        "callbacks=[progress]", "trainer.max_epochs=1", "trainer.enable_progress_bar=true"
    )
    assert status == 0, output
    assert "images=72" in output
    assert "v_num" not in output


@pytest.mark.parametrize("callbacks", ["callbacks=[progress]", "callbacks=none"])
def test_without_a_terminal_there_is_a_line_an_epoch(train, callbacks: str):
    status, output = train(callbacks, "trainer.enable_progress_bar=true")
    assert status == 0, output
    lines = [line for line in output.splitlines() if line.startswith("Epoch ")]
    assert [line.partition(": ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    assert "72 images, loss/d" in lines[0]
    assert ("images/s" in lines[0]) == (callbacks != "callbacks=none")
    assert "it/s" not in output


def test_without_a_bar_there_are_no_lines(train: Callable[..., tuple[int, str]]):
    status, output = train("callbacks=[progress]")
    assert status == 0, output
    assert "Epoch 1" not in output


def test_a_long_epoch_has_a_line_a_minute(monkeypatch, tmp_path, caplog):
    clock = count(step=25)  # seconds a batch
    monkeypatch.setattr(progress, "perf_counter", lambda: next(clock))
    caplog.set_level(logging.INFO, logger="facegan")
    model = BoringModel()
    model.images_seen = 0
    lines = {"callbacks": [progress.ProgressLines()], "enable_progress_bar": False}
    fit(model, tmp_path, **lines, max_epochs=1, limit_train_batches=9)
    own = [record for record in caplog.records if record.name.startswith("facegan")]
    said = [record.getMessage().partition(":")[0] for record in own]
    assert said[:-1] == [f"Epoch 1/1, batch {number}/9" for number in (3, 6)]
    assert said[-1] == "Epoch 1/1"


def test_throughput_is_recorded_once_an_epoch(train: Callable[..., tuple[int, str]], tmp_path):
    status, output = train("callbacks=[progress]")
    assert status == 0, output
    rows = read_csv(tmp_path / "run" / "metrics.csv")
    speeds = {
        row["step"]: float(row["speed/images_per_second"])
        for row in rows
        if row["speed/images_per_second"]
    }
    assert list(speeds) == ["72", "144"]
    assert min(speeds.values()) > 0
