import numpy as np
import pytest
import torch
from torch import Tensor

from facegan.features.stream import Ranks, read_all, stream


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 64, 65, 200])
def test_ranks_share_the_reading_and_all_get_everything(world: int, count: int):
    rows = np.random.default_rng(0).permutation(count)
    parts: list[list[Tensor]] = [[] for _ in range(world)]
    handed_in: list[list[Tensor]] = [[] for _ in range(world)]
    for rank in range(world):  # first what each hands in, then what each gets

        def remember(tensor: Tensor, rank: int = rank) -> Tensor:
            handed_in[rank].append(tensor)
            return torch.stack([tensor] * world)

        images_of = lambda part: torch.tensor(part, dtype=torch.float32)[:, None]  # noqa: E731
        list(stream(lambda x: x, images_of, rows, "", Ranks(rank, world, remember)))
    for rank in range(world):
        calls = iter(range(len(handed_in[rank])))

        def gather(tensor: Tensor, calls=calls) -> Tensor:
            number = next(calls)
            return torch.stack([handed_in[other][number] for other in range(world)])

        ranks = Ranks(rank, world, gather)
        parts[rank] = list(stream(lambda x: x, images_of, rows, "", ranks))
        assert torch.cat(parts[rank]).flatten().tolist() == rows.tolist()


def test_all_vectors_are_read_in_order():
    rows = np.random.default_rng(0).permutation(150)
    read = read_all(lambda x: 2 * x, lambda part: torch.tensor(part)[:, None], rows, "Reading")
    assert read.flatten().tolist() == (2 * rows).tolist()
