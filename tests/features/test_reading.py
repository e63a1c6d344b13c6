import numpy as np
import pytest
import torch
from torch import Tensor

from facegan.errors import InputError
from facegan.features.reading import calibrated, reader, statistics, with_statistics
from facegan.features.reduction import fit_reduction, reduce
from facegan.features.stream import Ranks, stream
from facegan.networks.dcgan import Discriminator


def network() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(16, 3, width=4)


def images(count: int = 8) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_calibration_measures_the_given_images_and_leaves_the_network_alone():
    discriminator = network().train()
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    batch = images(32)
    copy = calibrated(discriminator, lambda rows: batch[rows], np.arange(32))
    after = discriminator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert discriminator.training
    assert not copy.training
    seen = copy.layers[1][0](copy.layers[0](batch))  # what reaches the first BatchNorm
    assert torch.allclose(copy.layers[1][1].running_mean, seen.mean((0, 2, 3)), atol=1e-5)


def test_statistics_can_be_saved_and_put_back():
    discriminator = network()
    first = calibrated(discriminator, lambda rows: images(32)[rows], np.arange(32))
    second = with_statistics(discriminator, statistics(first))
    assert torch.equal(first.forward_features(images()), second.forward_features(images()))


def test_layers_are_a_part_of_all_features():
    discriminator = network().eval()
    everything = reader("features", discriminator)(images())
    parts = [reader("features", discriminator, [n])(images()) for n in (1, 2)]
    assert torch.equal(torch.cat(parts, 1), everything)
    assert everything.shape == (8, discriminator.num_features)


@pytest.mark.parametrize("layers", [[], [0], [3], "2", [1.5], 2])
def test_layers_that_are_not_there_are_refused(layers: object):
    with pytest.raises(InputError, match=r"numbered 1 .* to 2"):
        reader("features", network(), layers)  # type: ignore[arg-type]


def test_pixels_are_the_images_themselves():
    assert torch.equal(reader("pixels")(images()), images().flatten(1))


# ---------------------------------------------------------------------- reduction


def vectors(count: int = 200, size: int = 30) -> Tensor:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(count, 5)) @ rng.normal(size=(5, size)) * 3 + 7
    return torch.tensor(mixed + 0.01 * rng.normal(size=(count, size)), dtype=torch.float32)


def test_points_are_white_and_agree_with_scikit_learn():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    data = vectors()
    reduction, points = fit_reduction(data.clone(), 4)
    assert torch.allclose(torch.cov(points.T), torch.eye(4), atol=1e-3)
    expected = PCA(4, whiten=True).fit_transform(StandardScaler().fit_transform(data.numpy()))
    for ours, theirs in zip(points.T.numpy(), expected.T, strict=True):
        assert abs(np.corrcoef(ours, theirs)[0, 1]) > 0.9999
    assert torch.allclose(reduction(data), points, atol=1e-3)


def test_only_directions_that_vary_are_kept():
    data = torch.zeros(20, 6)
    data[:, 2] = torch.arange(20.0)
    reduction, points = fit_reduction(data.clone(), 4)
    assert points.shape == (20, 1)
    assert reduction(data).isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_vectors_that_are_all_the_same_become_the_same_point(value: float):
    _, points = fit_reduction(torch.full((50, 7), value), 4)
    assert torch.equal(points, torch.zeros(50, 1))


def test_a_stream_is_reduced_as_a_whole_would_be_and_leaves_the_random_state_alone():
    data = vectors()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    _, points = reduce(data.split(33), len(data), 4, fit_rows=200)
    assert torch.equal(before, torch.get_rng_state())
    _, whole = fit_reduction(data.clone(), 4)
    assert torch.equal(points, whole)
    again, streamed = reduce(data.split(33), len(data), 4, fit_rows=150)
    assert streamed.shape == (200, 4)
    assert torch.allclose(streamed, again(data), atol=1e-3)


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
        list(stream(lambda x: x, images_of, rows, Ranks(rank, world, remember)))
    for rank in range(world):
        calls = iter(range(len(handed_in[rank])))

        def gather(tensor: Tensor, calls=calls) -> Tensor:
            number = next(calls)
            return torch.stack([handed_in[other][number] for other in range(world)])

        ranks = Ranks(rank, world, gather)
        parts[rank] = list(stream(lambda x: x, images_of, rows, ranks))
        assert torch.cat(parts[rank]).flatten().tolist() == rows.tolist()
