"""How long ranks wait for each other."""

from datetime import timedelta

import pytest
import pytorch_lightning as pl
import torch.distributed as dist
from pytorch_lightning.demos.boring_classes import BoringModel

from facegan.launch.distributed import strategy


def test_other_strategies_are_lightnings_own():
    assert strategy("auto") == "auto"


@pytest.mark.slow
def test_ranks_wait_for_hours_while_rank_0_measures(tmp_path, monkeypatch: pytest.MonkeyPatch):
    timeouts: list[timedelta] = []
    connect = dist.init_process_group

    def watch(*arguments, **options):
        timeouts.append(options["timeout"])
        connect(*arguments, **options)

    monkeypatch.setattr(dist, "init_process_group", watch)
    trainer = pl.Trainer(
        strategy=strategy("ddp_find_unused_parameters_true"),
        devices=1,
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(BoringModel())
    dist.destroy_process_group()
    assert timeouts[0] >= timedelta(hours=1)
