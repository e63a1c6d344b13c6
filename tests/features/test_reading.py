import numpy as np
import pytest
import torch
from torch import Tensor

from facegan.errors import InputError
from facegan.features.reading import calibrated, reader, statistics, with_statistics
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
