"""On a machine with a GPU: a replayed training step is the step."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from facegan.checkpoint import read_checkpoint

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

Train = Callable[..., tuple[int, str]]
GPU = ["trainer.accelerator=gpu", "trainer.deterministic=true", "dataset.limit=64"]  # 8 batches


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run_dir)["state_dict"]


@pytest.mark.parametrize(
    "recipe",
    [
        [],
        ["trainer.precision=bf16-mixed"],
        ["model=hinge_sn", "model.clip=1"],
        ["model=wgan_gp"],
        ["model=rpgan", "model.penalty_every=2"],
        ["model.augment=[color,translation,cutout]"],
    ],
)
def test_replayed_steps_train_the_same_networks(train: Train, tmp_path: Path, recipe: list[str]):
    for graphs in ("true", "false"):
        options = [f"model.cuda_graphs={graphs}", f"hydra.run.dir={tmp_path}/{graphs}"]
        status, output = train(*GPU, *recipe, *options)
        assert status == 0, output
    replayed, usual = weights(tmp_path / "true"), weights(tmp_path / "false")
    for name, tensor in usual.items():
        torch.testing.assert_close(replayed[name], tensor, atol=1e-3, rtol=1e-2, msg=name)


def test_every_epoch_is_saved_and_goes_on_anywhere(train: Train, tmp_path: Path):
    options = [*GPU, "callbacks.periodic.every_n_epochs=1"]
    status, output = train(*options, f"hydra.run.dir={tmp_path}/whole", "trainer.max_epochs=3")
    assert status == 0, output
    checkpoints = tmp_path / "whole" / "checkpoints"
    seen = [read_checkpoint(path)["images_seen"] for path in sorted(checkpoints.glob("epoch*"))]
    assert seen == [64, 128, 192]

    train(*options, f"hydra.run.dir={tmp_path}/halves", "trainer.max_epochs=2")
    status, output = train(*GPU, f"resume={tmp_path}/halves", "trainer.max_epochs=3")
    assert status == 0, output
    whole = weights(tmp_path / "whole")
    for name, tensor in weights(tmp_path / "halves").items():
        torch.testing.assert_close(tensor, whole[name], atol=1e-3, rtol=1e-2, msg=name)

    status, output = train(
        f"resume={tmp_path}/halves", "trainer.max_epochs=4", "trainer.accelerator=cpu"
    )
    assert status == 0, output


def test_what_cannot_be_a_graph_runs_as_usual(train: Train, tmp_path: Path):
    for number, option in enumerate(
        ["model.accumulate=2", "trainer.precision=16-mixed", "trainer.detect_anomaly=true"]
    ):
        status, output = train(*GPU, option, f"hydra.run.dir={tmp_path}/{number}")
        assert status == 0, output
