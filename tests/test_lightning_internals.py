"""Each private part of Lightning that facegan uses still works as expected."""

import os
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.demos.boring_classes import BoringModel
from torch.utils.data import DataLoader

from facegan.lightning_internals import (
    batches_done_in_epoch,
    count_optimizer_steps,
    detects_anomalies,
    finished_epochs,
    hide_events_after,
    mark_epoch_unfinished,
    relocated,
    restart_epoch,
    step_number,
    take_over_sigterm,
)
from facegan.training.loggers.tensorboard import TensorBoardLogger


class Counted(BoringModel):
    """Counts its training steps."""

    steps = 0

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.steps += 1
        return super().training_step(batch, batch_idx)


def trained(directory: Path, max_epochs: int = 1, **arguments: Any) -> tuple[Counted, pl.Trainer]:
    """A model and its trainer after epochs of four batches."""
    options: dict[str, Any] = {
        "limit_train_batches": 4,
        "limit_val_batches": 0,
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": any(
            isinstance(c, ModelCheckpoint) for c in arguments.get("callbacks", [])
        ),
    }
    ckpt_path = arguments.pop("ckpt_path", None)
    trainer = pl.Trainer(
        default_root_dir=directory, max_epochs=max_epochs, **{**options, **arguments}
    )
    model = Counted()
    trainer.fit(model, ckpt_path=ckpt_path)
    return model, trainer


class SaveMidEpoch(pl.Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, idx: int):
        if idx == 2:
            trainer.save_checkpoint(self.path)


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=False)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A checkpoint after one epoch."""
    _, trainer = trained(tmp_path)
    trainer.save_checkpoint(tmp_path / "whole.ckpt")
    return tmp_path / "whole.ckpt"


@pytest.fixture
def middle(tmp_path: Path) -> Path:
    """A checkpoint before the third of four batches."""
    trained(tmp_path, callbacks=[SaveMidEpoch(tmp_path / "middle.ckpt")])
    return tmp_path / "middle.ckpt"


def test_finished_epochs_are_counted(whole: Path, middle: Path):
    assert finished_epochs(read(whole)) == 1
    assert finished_epochs(read(middle)) == 0


@pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable")
def test_an_interrupted_epoch_is_resumed_or_restarted(middle: Path):
    model, _ = trained(middle.parent, ckpt_path=middle)
    assert model.steps == 2
    checkpoint = read(middle)
    restart_epoch(checkpoint)
    torch.save(checkpoint, middle)
    model, _ = trained(middle.parent, ckpt_path=middle)
    assert model.steps == 4


def test_an_epoch_marked_unfinished_is_not_counted(whole: Path):
    checkpoint = read(whole)
    mark_epoch_unfinished(checkpoint)
    assert finished_epochs(checkpoint) == 0


def test_the_best_checkpoint_is_remembered_where_it_was_moved(tmp_path: Path):
    def best(directory: Path) -> ModelCheckpoint:
        return ModelCheckpoint(directory, monitor="epoch", mode="max", save_on_train_epoch_end=True)

    class LogEpoch(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
            pl_module.log("epoch", float(trainer.current_epoch))

    first = best(tmp_path / "old")
    trained(tmp_path, callbacks=[LogEpoch(), first])
    name = Path(first.best_model_path).name
    (tmp_path / "old").rename(tmp_path / "new")
    second = best(tmp_path / "new")
    second.load_state_dict(relocated(first.state_dict(), str(tmp_path / "new")))
    assert second.best_model_path == str(tmp_path / "new" / name)
    assert list(second.best_k_models) == [second.best_model_path]
    assert second.best_model_score == 0


def test_tensorboard_hides_what_is_logged_again(tmp_path: Path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    first = TensorBoardLogger(str(tmp_path), name="", version="")
    for step in (8, 16, 24):
        first.log_metrics({"loss": 1.0}, step)
    first.finalize("success")
    second = TensorBoardLogger(str(tmp_path), name="", version="")
    hide_events_after(second, 16)
    second.log_metrics({"loss": 2.0}, 24)
    second.finalize("success")
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    shown = [(event.step, event.value) for event in events.Scalars("loss")]
    assert shown == [(8, 1.0), (16, 1.0), (24, 2.0)]


@pytest.mark.slow
def test_lightning_does_not_ask_for_sigterm_before_every_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    broadcasts: list[int] = []
    monkeypatch.setattr(
        "pytorch_lightning.loops.training_epoch_loop._TrainingEpochLoop._broadcast_sigterm_tensor",
        lambda self: broadcasts.append(os.getpid()),
    )

    class SeveralDevices(pl.Callback):
        def __init__(self, take_over: bool) -> None:
            self.take_over = take_over

        def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
            monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
            monkeypatch.setattr(type(trainer), "world_size", 2)
            if self.take_over:
                take_over_sigterm(trainer)

        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
            monkeypatch.setattr(torch.distributed, "is_initialized", lambda: False)
            monkeypatch.setattr(type(trainer), "world_size", 1)

    trained(tmp_path, callbacks=[SeveralDevices(take_over=False)])
    assert len(broadcasts) == 4
    trained(tmp_path, callbacks=[SeveralDevices(take_over=True)])
    assert len(broadcasts) == 4


class Counter(pl.LightningModule):
    """Asks in every step how many batches of the epoch are done."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.done: list[int] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.done.append(batches_done_in_epoch(self.trainer))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return []


def test_batches_done_in_epoch(tmp_path):
    model = Counter()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, DataLoader(torch.zeros(3, 1)))
    assert model.done == [0, 1, 2, 0, 1, 2]
    assert batches_done_in_epoch(trainer) == 0  # between epochs


QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


class TwoUpdates(pl.LightningModule):
    """Two batches an epoch, in each of which two optimizer steps bypass Lightning."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.automatic_optimization = False
        self.steps: list[tuple[int, int]] = []

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.steps.append((step_number(self.trainer), self.trainer.global_step))
        count_optimizer_steps(self.trainer, 2)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())

    def train_dataloader(self) -> DataLoader:
        return DataLoader(torch.zeros(2, 1))


def test_steps_are_numbered_and_counted_across_epochs():
    module = TwoUpdates()
    trainer = pl.Trainer(max_epochs=2, **QUIET)
    trainer.fit(module)
    assert module.steps == [(1, 0), (2, 2), (3, 4), (4, 6)]
    assert trainer.global_step == 8


@pytest.mark.parametrize("detect", [True, False])
def test_detection_of_anomalies_is_seen(detect: bool):
    trainer = pl.Trainer(detect_anomaly=detect, **QUIET)
    assert detects_anomalies(trainer) is detect
