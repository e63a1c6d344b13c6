"""A replayed training step equals the step; all tests need an NVIDIA GPU."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from facegan.files import read_csv
from facegan.gan.checkpoint import read_checkpoint
from facegan.gan.cuda_graphs import GraphedStep

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

Train = Callable[..., tuple[int, str]]
GPU = ["trainer.accelerator=gpu", "trainer.deterministic=true", "dataset.limit=64"]  # 8 batches


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run_dir)["state_dict"]


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """An item for every graph that has been replayed."""
    replayed: list[None] = []
    replay = torch.cuda.CUDAGraph.replay

    def counted(graph: torch.cuda.CUDAGraph) -> None:
        replayed.append(None)
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    return replayed


def rows(run_dir: Path) -> list[dict[str, str]]:
    return [row for row in read_csv(run_dir / "metrics.csv") if row["loss/d"]]


@needs_gpu
def test_a_replay_computes_the_step_on_new_inputs(replays: list[None]):
    calls: list[str] = []

    def step(images: torch.Tensor, labels: torch.Tensor, *, twice: bool) -> torch.Tensor:
        calls.append("python")
        return (images.sum() + labels.sum()) * (2 if twice else 1)

    graphed = GraphedStep(step, on_replay=lambda: calls.append("replay"))
    for number in range(6):
        images = torch.full((2, 3), float(number), device="cuda")
        labels = torch.full((2, 1), 10 * number, device="cuda")
        assert graphed(images, labels, twice=True).item() == 2 * (6 * number + 20 * number)
    assert calls == ["python"] * 4 + ["replay"] * 2  # three to warm up, one to capture
    assert len(replays) == 3
    calls.clear()
    assert graphed(images, labels, twice=False).item() == 6 * 5 + 20 * 5  # other options
    assert graphed(images[:1], labels[:1], twice=True).item() == 2 * (
        3 * 5 + 10 * 5
    )  # a smaller one
    assert calls == ["python"] * 2


@needs_gpu
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
def test_replayed_steps_train_the_same_networks(
    train: Train, replays: list[None], tmp_path: Path, recipe: list[str]
):
    for graphs in ("true", "false"):
        options = [f"model.cuda_graphs={graphs}", f"hydra.run.dir={tmp_path}/{graphs}"]
        status, output = train(*GPU, *recipe, *options, "trainer.log_every_n_steps=3")
        assert status == 0, output
        assert (len(replays) > 0) == (graphs == "true")
        replays.clear()
    replayed, usual = weights(tmp_path / "true"), weights(tmp_path / "false")
    for name, tensor in usual.items():
        torch.testing.assert_close(replayed[name], tensor, atol=1e-3, rtol=1e-2, msg=name)
    replayed_rows, usual_rows = rows(tmp_path / "true"), rows(tmp_path / "false")
    assert [row["step"] for row in replayed_rows] == [row["step"] for row in usual_rows]
    for one, other in zip(replayed_rows, usual_rows, strict=True):
        assert float(one["loss/d"]) == pytest.approx(float(other["loss/d"]), rel=0.1, abs=0.1)


@needs_gpu
def test_every_epoch_is_saved_and_resumes_with_or_without_graphs(train: Train, tmp_path: Path):
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


@needs_gpu
@pytest.mark.parametrize(
    "option",
    [
        "model.accumulate=2",
        "trainer.precision=16-mixed",
        "trainer.detect_anomaly=true",
        "trainer.strategy=ddp_find_unused_parameters_true",
    ],
)
def test_what_cannot_be_a_graph_runs_as_usual(train: Train, replays: list[None], option: str):
    status, output = train(*GPU, option)
    assert status == 0, output
    assert not replays
