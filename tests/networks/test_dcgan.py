import pytest
import torch
from torch import nn

from facegan.errors import InputError
from facegan.networks.dcgan import Discriminator, Generator, default_blocks, feature_maps


@pytest.mark.parametrize(
    ("size", "blocks", "base"), [(28, 2, 7), (32, 3, 4), (64, 4, 4), (96, 4, 6), (128, 5, 4)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_follow_from_the_image_size(size: int, blocks: int, base: int, channels: int):
    G, D = Generator(size, channels, 10, width=4), Discriminator(size, channels, width=4)
    images = G(torch.randn(2, 10))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert D(images).shape == (2,)
    assert D.forward_features(images).shape == (2, D.num_features)
    assert default_blocks(size) == blocks == len(D.layers)
    assert G.project[0].kernel_size == D.logit.kernel_size == (base, base)


@pytest.mark.parametrize("size", [50, 63, 100, 15, 0, -64, 64.0, "64", True])
def test_a_size_no_dcgan_has_is_refused(size):
    with pytest.raises(InputError, match="image_size"):
        Generator(size)


def test_a_refused_size_names_its_neighbours():
    with pytest.raises(InputError, match="nearest are 48 and 56"):
        Discriminator(50)


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_the_number_of_layers_can_be_chosen(blocks: int):
    G, D = Generator(32, width=4, blocks=blocks), Discriminator(32, width=4, blocks=blocks)
    assert D(G(torch.randn(2, 100))).shape == (2,)
    assert len(D.layers) == blocks


@pytest.mark.parametrize("blocks", [0, 5, -1])
def test_layers_that_do_not_fit_the_size_are_refused(blocks: int):
    with pytest.raises(InputError, match="blocks"):
        Generator(32, blocks=blocks)


def test_initialisation_slopes_and_norms_are_the_papers():
    torch.manual_seed(0)
    G, D = Generator(64), Discriminator(64)
    convs = [m for net in (G, D) for m in net.modules() if isinstance(m, nn.Conv2d)]
    convs += [m for m in G.modules() if isinstance(m, nn.ConvTranspose2d)]
    for conv in convs:
        assert conv.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert conv.weight.mean().item() == pytest.approx(0, abs=0.002)
        assert conv.bias is None or not conv.bias.any()
    norms = [m for net in (G, D) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 4 + 3  # none in G's output and none in D's first layer
    weights = torch.cat([norm.weight for norm in norms])
    assert weights.mean().item() == pytest.approx(1, abs=0.01)
    assert weights.std().item() == pytest.approx(0.02, rel=0.2)
    slopes = {m.negative_slope for m in D.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.2}
    assert not any(isinstance(m, nn.Sigmoid) for net in (G, D) for m in net.modules())
    assert sum(p.numel() for p in G.parameters()) == 3_576_707  # of 100-64-3 at 64 px


@pytest.mark.parametrize("norm", ["group", "none"])
def test_without_batch_norm_an_image_is_judged_alone(norm: str):
    D = Discriminator(32, width=16, norm=norm)
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(D(images)[:1], D(images[:1]))


def test_batch_norm_judges_a_batch():
    D = Discriminator(32, width=16)
    images = torch.rand(4, 3, 32, 32)
    assert not torch.allclose(D(images)[:1], D(images[:1]))


def test_spectral_norm_bounds_every_layer():
    D = Discriminator(32, width=16, norm="none", spectral_norm=True)
    for _ in range(50):  # a power iteration each
        D(torch.rand(2, 3, 32, 32))
    for conv in (m for m in D.modules() if isinstance(m, nn.Conv2d)):
        largest = torch.linalg.matrix_norm(conv.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.05)


def test_features_are_those_that_lead_to_the_logit():
    D = Discriminator(32, width=8).eval()
    images = torch.rand(3, 3, 32, 32)
    features = D.forward_features(images)
    last = features[:, -32 * 4 * 4 :].unflatten(1, (32, 4, 4))  # 4 x 4 already: nothing pooled
    torch.testing.assert_close(D.logit(last).flatten(), D(images))


@pytest.mark.parametrize("size", [28, 32, 64, 128])
def test_up_to_128_pixels_the_maps_double_as_in_the_paper(size: int):
    blocks = default_blocks(size)
    assert feature_maps(size, 64, blocks, None) == [64 * 2**n for n in range(blocks)]


def test_large_images_have_at_most_512_maps_unless_more_are_asked_for():
    assert feature_maps(256, 64, 6, None) == [64, 128, 256, 512, 512, 512]
    assert feature_maps(256, 1024, 2, None) == [1024, 1024]  # a wider first layer was asked for
    assert feature_maps(64, 64, 4, 128) == [64, 128, 128, 128]
    with torch.device("meta"):
        weights = [
            sum(p.numel() for p in network(1024).parameters())
            for network in (Generator, Discriminator)
        ]
    assert max(weights) < 35e6  # doubling on: more than 700 million


def test_capped_networks_give_images_and_logits():
    G, D = Generator(64, 3, 8, width=4, max_width=8), Discriminator(64, width=4, max_width=8)
    images = G(torch.randn(2, 8))
    assert images.shape == (2, 3, 64, 64)
    assert D(images).shape == (2,)
    assert D.forward_features(images).shape == (2, D.num_features)
