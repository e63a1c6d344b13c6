"""Against closed forms, hand-made point sets and the definitions."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from facegan.errors import InputError
from facegan.quality.metrics.diversity import inception_score, pair_similarities
from facegan.quality.metrics.frechet import frechet_distance, merge, moments
from facegan.quality.metrics.kernel import kernel_distance
from facegan.quality.metrics.manifold import manifold
from facegan.quality.metrics.memorization import memorization
from facegan.quality.metrics.sliced import patches, pyramid, sliced_wasserstein
from facegan.quality.metrics.uncertainty import (
    Estimate,
    group_mean_estimate,
    group_numbers,
    groups,
    mean_estimate,
    paired_difference,
)
from facegan.quality.names import METRICS, better, name_of


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------- Fréchet


def test_moments_of_a_stream_are_those_of_the_whole():
    points = normal(500, 6) * 3 + 1e3
    streamed = moments(points.split(77))
    assert streamed.count == 500
    assert torch.allclose(streamed.mean, points.double().mean(0))
    assert torch.allclose(streamed.covariance, torch.cov(points.double().T), rtol=1e-6)


def test_frechet_distance_of_known_gaussians():
    # Diagonal covariances: |m|^2 + sum (s - t)^2. Whitened, so that the sample has them exactly.
    points = normal(1000, 4).double()
    points -= points.mean(0)
    points = points @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(points.T))).T
    s, t = torch.tensor([1.0, 2.0, 3.0, 0.5]), torch.tensor([2.0, 2.0, 1.0, 0.5])
    shift = torch.tensor([1.0, 0.0, -2.0, 0.0])
    got = frechet_distance(moments([points * s]), moments([points * t + shift]))
    assert got == pytest.approx(5 + 1 + 4, rel=1e-9)


def test_frechet_distance_agrees_with_the_general_formula():
    from scipy.linalg import sqrtm

    mix = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    a, b = moments([normal(300, 5)]), moments([normal(300, 5, 2) @ mix + 0.3])
    root = sqrtm(a.covariance.numpy() @ b.covariance.numpy()).real
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(
        a.covariance.numpy() + b.covariance.numpy() - 2 * root
    )
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-8)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_moments_of_parts_are_those_of_the_whole():
    points = normal(300, 5) + 7
    parts = [moments([part]) for part in points.split([100, 150, 50])]
    whole, merged = moments([points]), merge(parts)
    assert merged.count == 300
    assert torch.allclose(merged.mean, whole.mean)
    assert torch.allclose(merged.covariance, whole.covariance)


def test_too_few_images_for_a_covariance_are_refused():
    few, many = moments([normal(5, 8)]), moments([normal(50, 8)])
    with pytest.raises(InputError, match="8 features from 5 images has a singular covariance"):
        frechet_distance(few, many)


# ---------------------------------------------------------------------- kernel


def test_kernel_distance_is_unbiased_and_grows_with_the_difference():
    same, deviation = kernel_distance(normal(2000, 8), normal(2000, 8, 1), 20, 500)
    assert abs(same.value) < 3 * deviation
    near, _ = kernel_distance(normal(2000, 8), normal(2000, 8, 1) + 0.2, 20, 500)
    far, _ = kernel_distance(normal(2000, 8), normal(2000, 8, 1) + 0.5, 20, 500)
    assert deviation < near.value < far.value


def test_kernel_distance_by_hand():
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [1.0]])
    # (xy + 1)^3: within x 27, within y 1, between 1, 1, 8, 27
    assert kernel_distance(x, y, 1, 2)[0].value == pytest.approx(27 + 1 - 2 * (1 + 1 + 8 + 27) / 4)


def test_kernel_replicates_leave_out_a_tenth_of_the_generated_images():
    real, generated = normal(40, 3), normal(40, 3, 1)
    estimate, _ = kernel_distance(real, generated, subsets=1, size=40)
    m, gram = 36, lambda a, b: (a.double() @ b.double().T / 3 + 1) ** 3
    for number, group in enumerate(groups(40)):
        kept = torch.ones(40, dtype=torch.bool)
        kept[group] = False
        left = generated[kept]
        within = [k.sum() - k.diagonal().sum() for k in (gram(real, real), gram(left, left))]
        expected = within[0] / (40 * 39) + within[1] / (m * (m - 1)) - 2 * gram(real, left).mean()
        assert estimate.replicates[number] == pytest.approx(float(expected))


def test_subsets_larger_than_the_data_are_refused():
    with pytest.raises(InputError, match="kid_subset_size=10 or less"):
        kernel_distance(normal(10, 3), normal(20, 3))


# ---------------------------------------------------------------------- manifolds


def line(*places: float) -> torch.Tensor:
    return torch.tensor(places, dtype=torch.float32)[:, None]


def shares(*given, **options) -> SimpleNamespace:
    found = manifold(*given, **options)
    return SimpleNamespace(**{name: estimate.value for name, estimate in found.items()})


def test_precision_and_recall_by_hand():
    real, generated = line(0, 1, 2, 3, 10), line(0.5, 1.5, 2.5, 50)
    got = shares(real, generated, k=1, k_density=1)
    # A real one reaches 1 (the one at 10: 7); a generated one 1 (the one at 50: 47.5).
    assert got.precision == 3 / 4
    assert got.recall == 1  # 10 is within 47.5 of 50
    # Those at 0.5, 1.5 and 2.5 are reached by two each; the one at 2.5 not from 10, which is 7.5
    assert got.density == 6 / 4
    assert got.coverage == pytest.approx(4 / 5)


def test_the_same_distribution_and_its_opposites():
    real = normal(400, 4)
    same = shares(real, normal(400, 4, 1))
    assert min(same.precision, same.recall, same.coverage) > 0.7
    assert same.density == pytest.approx(1, abs=0.2)
    collapsed = shares(real, normal(400, 4, 1) * 0.01)
    assert collapsed.precision > 0.95
    assert max(collapsed.recall, collapsed.coverage) < 0.2
    noise = shares(real, normal(400, 4, 1) * 20)
    assert max(noise.precision, noise.density, noise.coverage) < 0.2


def test_too_few_neighbours_are_refused():
    with pytest.raises(InputError, match="more than 5 images"):
        manifold(normal(5, 2), normal(10, 2))


# ---------------------------------------------------------------------- sliced Wasserstein


def test_the_pyramid_adds_up_to_the_image():
    images = torch.rand(2, 3, 64, 64)
    levels = pyramid(images)
    assert [level.shape[-1] for level in levels] == [64, 32, 16]
    whole = levels[-1]
    binomial = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    for level in reversed(levels[:-1]):
        spread = np.zeros((*whole.shape[:2], *level.shape[-2:]))
        spread[..., ::2, ::2] = 4 * whole
        larger = ndimage.convolve(spread, binomial[None, None], mode="mirror")
        whole = level + torch.from_numpy(larger)
    assert torch.allclose(whole.float(), images, atol=1e-5)


def test_a_level_is_every_second_pixel_of_the_blurred_one():
    images = torch.rand(1, 1, 32, 32)
    weights = np.array([1, 4, 6, 4, 1]) / 16
    blurred = ndimage.convolve1d(images.numpy(), weights, axis=2, mode="mirror")
    blurred = ndimage.convolve1d(blurred, weights, axis=3, mode="mirror")
    assert np.allclose(pyramid(images)[1], blurred[..., ::2, ::2], atol=1e-6)


@pytest.mark.parametrize(("size", "levels"), [(28, [28]), (32, [32, 16])])
def test_patches_of_every_level(size: int, levels: list[int]):
    found = pyramid(torch.rand(3, 1, size, size))
    assert [level.shape[-1] for level in found] == levels
    assert all(patches(level).shape == (3 * 128, 49) for level in found)


@pytest.mark.slow
def test_other_textures_are_farther():
    torch.manual_seed(0)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(200, 3, 34, 34), 3, 1)
    rough = torch.rand(100, 3, 32, 32)
    a, b, c = (patches(pyramid(images)[0]) for images in (smooth[:100], smooth[100:], rough))
    assert sliced_wasserstein(a, a).value == 0
    near, far = sliced_wasserstein(a, b), sliced_wasserstein(a, c)
    assert near.value < far.value / 2
    assert 0 < far.error < far.value / 10


def test_sliced_replicates_leave_out_a_tenth_of_the_images():
    real, generated = torch.rand(2, 20, 3, 16, 16)
    a, b = patches(real), patches(2 * generated)
    whole = sliced_wasserstein(a, b)
    left = torch.arange(20 * 128) >= 2 * 128  # normalised alone: nearly the same
    assert whole.replicates[0] == pytest.approx(sliced_wasserstein(a[left], b[left]).value, rel=0.1)
    assert len(whole.replicates) == 10


# ---------------------------------------------------------------------- copies


def test_a_copier_is_caught_and_an_honest_generator_passes():
    train, held_out = normal(3000, 16), normal(600, 16, 1)
    honest = memorization(train, held_out, normal(500, 16, 2))
    assert not honest.copier
    assert honest.copies < 0.04
    smooth = memorization(
        train, held_out, 0.5 * normal(500, 16, 3)
    )  # near everything, but no copies
    assert not smooth.copier
    copies = train[torch.arange(500)] + 0.01 * normal(500, 16, 4)
    caught = memorization(train, held_out, copies)
    assert caught.copier
    assert caught.copies == 1
    assert torch.equal(caught.row, torch.arange(500))
    few = memorization(train, held_out, torch.cat([normal(450, 16, 5), copies[:50]]))  # one in ten
    assert few.copier


def test_exact_copies_have_a_ratio_of_zero():
    train = normal(200, 3)
    found = memorization(train, normal(100, 3, 1), train[:7])
    assert found.ratio.max() < 1e-6


def test_mirrored_copies_are_found_where_they_are_looked_for():
    images = normal(500, 2, 0)[:, None].repeat(1, 4, 1).flatten(1) + normal(500, 8, 1)
    mirror = torch.arange(8).flip(0)
    train, held_out = images[:400], images[400:]
    copies = train[:50, mirror]
    assert not memorization(train, held_out, copies).copier
    both = memorization(
        train,
        torch.stack([held_out, held_out[:, mirror]], 1),
        torch.stack([copies, copies[:, mirror]], 1),
    )
    assert both.copier
    assert both.copies == 1
    assert both.row.tolist() == list(range(50))


def test_held_out_images_that_are_in_the_training_set_hide_no_copier():
    train = normal(1000, 8)
    held_out = torch.cat([normal(300, 8, 1), train[:50]])
    assert memorization(train, held_out, train[100:400]).copier
    assert not memorization(train, held_out, normal(300, 8, 2)).copier


def test_without_held_out_images_nothing_is_said():
    with pytest.raises(InputError, match="100 held-out"):
        memorization(normal(10, 2), normal(9, 2), normal(5, 2))


# ---------------------------------------------------------------------- diversity


def test_the_inception_score_counts_the_classes_that_are_told_apart():
    sure = 50.0 * torch.eye(5).repeat(40, 1)
    assert inception_score(sure).value == pytest.approx(5, rel=1e-6)
    assert inception_score(sure[:1].repeat(100, 1)).value == pytest.approx(1)
    assert inception_score(torch.zeros(100, 5)).value == pytest.approx(1)


@pytest.mark.parametrize("size", [16, 28, 32, 64, 96, 180])
def test_pairs_are_alike_as_far_as_they_are(size: int):
    torch.manual_seed(0)
    image = torch.rand(1, 3, size, size) * 2 - 1
    noise = torch.rand(4, 3, size, size) * 2 - 1
    alike = pair_similarities(torch.cat([image, image, image, 0.7 * image, noise[:2], noise[2:]]))
    assert alike.shape == (4,)
    assert alike[0] == pytest.approx(1)
    assert 1 > alike[1] > alike[2]
    assert alike[2:].max() < 0.3


# ---------------------------------------------------------------------- how far to trust them


def test_the_error_of_a_mean_is_the_textbook_one():
    values = normal(5000, 1)[:, 0] * 3
    estimate = mean_estimate(values)
    assert estimate.value == pytest.approx(float(values.mean()), rel=1e-5)
    assert estimate.error == pytest.approx(3 / 5000**0.5, rel=0.6)  # from ten groups only
    by_group = [float(values[part].mean()) for part in groups(5000)]
    assert estimate.error == pytest.approx(np.std(by_group, ddof=1) / 10**0.5, rel=1e-6)
    assert mean_estimate(values[:5]).error is None


def test_groups_are_all_images_once():
    for count in (10, 37, 1000):
        found = [np.arange(count)[group] for group in groups(count)]
        assert np.array_equal(np.concatenate(found), np.arange(count))
        numbers = group_numbers(count)
        assert all((numbers[group] == n).all() for n, group in enumerate(groups(count)))


def p_of(first: Estimate, second: Estimate) -> float:
    return paired_difference(first, second)[1]


def test_equal_generators_rarely_differ_and_others_do():
    found = []
    for seed in range(200):
        noise = normal(400, 2, seed)
        found.append(p_of(mean_estimate(noise[:, 0]), mean_estimate(noise[:, 1])))
    assert 0.01 < np.mean(np.array(found) < 0.05) < 0.1
    assert p_of(mean_estimate(noise[:, 0]), mean_estimate(noise[:, 1] + 1)) < 1e-4


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_generators_of_the_same_distribution_rarely_differ(name: str):
    real = normal(200, 3)
    found = [
        p_of(*(manifold(real, normal(200, 3, seed + 1000 * i))[name] for i in (1, 2)))
        for seed in range(60)
    ]
    assert np.mean(np.array(found) < 0.05) < 0.16  # about 0.05


def test_shared_latents_make_small_differences_visible():
    shared, own = normal(1000, 1)[:, 0], normal(1000, 1, 1)[:, 0]
    better_by = 0.02
    assert p_of(mean_estimate(shared), mean_estimate(shared + better_by)) < 1e-6
    assert p_of(mean_estimate(shared), mean_estimate(own + better_by)) > 0.01


def test_identical_scores_are_not_called_different():
    same = group_mean_estimate([1.0] * 10)
    assert p_of(same, same) == 1
    assert p_of(same, Estimate(1.1)) is None


# ---------------------------------------------------------------------- names


def test_only_inception_gives_the_names_of_the_field():
    assert [name_of(kind, "inception") for kind in ("fd", "kd", "precision")] == [
        "fid",
        "kid",
        "precision",
    ]
    assert name_of("fd", "cnn") == "fd_cnn"
    assert name_of("swd/16", "cnn") == "swd/16"


def test_every_metric_knows_its_better_direction_or_has_none():
    assert [better(name) for name in ("fid", "fd_cnn", "swd/32", "recall_pixels", "msssim")] == [
        "min",
        "min",
        "min",
        "max",
        None,
    ]
    assert {name_of(metric, "cnn").split("_")[0] for metric in METRICS} == set(METRICS)
