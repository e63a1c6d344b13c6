"""Floating-point precision that model and device can use."""

import pytest

from facegan.errors import InputError
from facegan.gan.settings import GANSettings
from facegan.training.checks import usable_precision

P100, V100, T4, A100 = ((6, 0), "P100"), ((7, 0), "V100"), ((7, 5), "T4"), ((8, 0), "A100")


@pytest.mark.parametrize(
    ("gpu", "precision"),
    [
        *((A100, "bf16-mixed"), (T4, "16-mixed"), (V100, "16-mixed")),
        *((P100, "32-true"), (None, "32-true")),
    ],
)
def test_a_device_gets_the_precision_that_it_has(gpu, precision: str):
    assert usable_precision(GANSettings(), "auto", gpu) == precision


def test_float16_is_not_chosen_where_a_model_cannot_be_trained_in_it():
    clipped = GANSettings(clip=1.0)
    assert usable_precision(clipped, "auto", T4) == "32-true"
    assert usable_precision(clipped, "auto", A100) == "bf16-mixed"


def test_bfloat16_is_refused_where_a_gpu_emulates_it():
    with pytest.raises(InputError, match=r"compute capability 8\.0 or higher; T4 has 7\.5"):
        usable_precision(GANSettings(), "bf16-mixed", T4)
    for gpu in (A100, None):
        assert usable_precision(GANSettings(), "bf16-mixed", gpu) == "bf16-mixed"
