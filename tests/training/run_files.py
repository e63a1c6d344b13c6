"""Reading what small trainings leave in their run directories."""

import csv
from pathlib import Path

import torch


def rows(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def state(path: Path) -> dict[str, torch.Tensor]:
    """Networks, averages and both optimizers of a checkpoint, flat."""
    checkpoint = torch.load(path, weights_only=True)
    tensors = dict(checkpoint["state_dict"])
    for number, optimizer in enumerate(checkpoint["optimizer_states"]):
        for index, values in optimizer["state"].items():
            tensors |= {f"{number}.{index}.{name}": value for name, value in values.items()}
    tensors["images_seen"] = torch.tensor(checkpoint["images_seen"])
    return tensors


def assert_equal(one: Path, other: Path) -> None:
    a, b = state(one), state(other)
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different
