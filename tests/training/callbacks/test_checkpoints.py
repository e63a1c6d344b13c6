from pathlib import Path

import pytest
import torch

from facegan.files import read_csv
from facegan.gan.checkpoint import AtomicCheckpointIO
from facegan.training.callbacks.checkpoints import Checkpoints


def test_names_count_finished_epochs_from_one(tmp_path: Path):
    callback = Checkpoints(str(tmp_path), "epoch_{epoch:03d}", every_n_epochs=1, keep=-1)
    name = callback.format_checkpoint_name({"epoch": torch.tensor(4)})
    assert Path(name).name == "epoch_005.ckpt"


def test_several_can_be_saved_side_by_side(tmp_path: Path):
    last, every = (Checkpoints(str(tmp_path), name, 1, 1) for name in ("last", "epoch_{epoch}"))
    assert last.state_key != every.state_key


@pytest.mark.slow
def test_what_an_epoch_measured_is_written_before_its_checkpoint(
    train, tmp_path: Path, monkeypatch
):
    """Or a run killed between the two goes on without it."""
    save = AtomicCheckpointIO.save_checkpoint
    measured: list[set[str]] = []

    def look(self: AtomicCheckpointIO, checkpoint: dict, path: Path, **options: object) -> None:
        save(self, checkpoint, path, **options)
        rows = read_csv(tmp_path / "run" / "metrics.csv")
        now = [row for row in rows if int(row["step"]) == checkpoint["images_seen"]]
        measured.append({name for row in now for name, value in row.items() if value})

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", look)
    status, output = train("callbacks=[checkpoints,progress,quality]", "quality.n=40")
    assert status == 0, output
    assert len(measured) >= 2
    for names in measured:
        assert {"loss/d", "quality/kd_pixels", "speed/images_per_second"} <= names
