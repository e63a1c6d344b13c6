import pytest
import torch

from facegan.gan.augment import POLICIES, augment


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(6, 3, 16, 16) * 2 - 1


def test_no_policy_leaves_images_and_random_state_alone(images: torch.Tensor):
    state = torch.get_rng_state()
    assert augment(images, []) is images
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_changed_in_its_own_way(name: str, channels: int, images: torch.Tensor):
    same = images[:1, :channels].expand(32, -1, -1, -1)
    changed = augment(same, [name])
    assert changed.shape == same.shape
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 16


def test_translation_moves_by_at_most_an_eighth_and_grey_moves_in():
    white = torch.ones(200, 1, 16, 16)
    moved = augment(white, ["translation"])
    grey = (moved == 0).all(3).squeeze(1)  # rows (N, 16)
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert set(grey.sum(1).tolist()) == {0, 1, 2}
    assert grey[:, 0].any()
    assert grey[:, -1].any()


def test_cutout_greys_a_square_of_half_the_side():
    cut = augment(torch.ones(200, 1, 16, 16), ["cutout"]) == 0
    assert cut.sum((1, 2, 3)).max() == 64
    assert cut.any((1, 2, 3)).all()
    assert cut.any(0).all()  # anywhere


def test_color_keeps_what_is_drawn(images: torch.Tensor):
    grey = images.mean(1, keepdim=True)
    changed = augment(grey, ["color"])
    pairs = torch.stack([grey.flatten(1), changed.flatten(1)], 1)
    assert all(torch.corrcoef(pair)[0, 1] > 0.999 for pair in pairs)


def test_gradients_reach_the_generator_through_every_policy(images: torch.Tensor):
    images.requires_grad_(True)
    augment(images, list(POLICIES)).square().sum().backward()
    assert (images.grad != 0).any((1, 2, 3)).all()
