import pytest
import torch

from facegan.errors import InputError
from facegan.gan.latents import sample_latents


def test_row_i_of_a_seed_does_not_depend_on_how_many_are_drawn():
    whole = sample_latents(300, 5, seed=3)
    parts = [sample_latents(min(77, 300 - i), 5, seed=3, start=i) for i in range(0, 300, 77)]
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(sample_latents(10, 5, seed=3), whole[:10])


def test_seeds_and_rows_differ():
    z = sample_latents(1000, 8, seed=0)
    assert len(z.unique(dim=0)) == 1000
    assert not torch.equal(z, sample_latents(1000, 8, seed=1))


def test_standard_normal():
    z = sample_latents(5000, 20, seed=1)
    assert z.mean().item() == pytest.approx(0, abs=0.02)
    assert z.std().item() == pytest.approx(1, abs=0.02)


def test_truncation_keeps_to_the_interval():
    z = sample_latents(1000, 20, seed=1, truncation=0.5)
    assert z.abs().max() <= 0.5
    assert z.std() > 0.2


@pytest.mark.parametrize("truncation", [0, -1, float("nan"), "x"])
def test_bad_truncation(truncation):
    with pytest.raises(InputError, match="truncation"):
        sample_latents(1, 2, seed=0, truncation=truncation)
