"""Settings of a GAN and of sampling: what they allow, and that the code can do what they allow."""

import subprocess
import sys
from typing import Any, get_args

import pytest

from facegan.errors import InputError
from facegan.gan.augment import POLICIES
from facegan.gan.gan import GAN
from facegan.gan.losses import LOSSES
from facegan.gan.settings import GANSettings, SampleSettings
from facegan.networks import BACKBONES


@pytest.mark.parametrize(
    ("field", "table"), [("loss", LOSSES), ("backbone", BACKBONES), ("augment", POLICIES)]
)
def test_names_that_settings_allow_are_those_that_exist(field: str, table: dict[str, Any]):
    options = get_args(GANSettings.model_fields[field].annotation)
    options = get_args(options[0]) if field == "augment" else options
    assert set(options) == set(table)


def test_settings_need_no_torch():
    code = "import sys, facegan.gan.settings; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_a_gan_keeps_plain_values_in_its_hyper_parameters():
    model = GAN(image_size=16, width_g=4, width_d=4, betas_g=[0, 0.9])
    assert model.settings.betas_g == (0.0, 0.9)
    assert model.hparams["betas_g"] == [0.0, 0.9]
    assert set(model.hparams) == {*GANSettings.model_fields, "conditions"}
    assert {type(value) for value in model.hparams.values()} <= {
        int,
        float,
        str,
        bool,
        dict,
        list,
        type(None),
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"loss": "gan"}, "model.loss must be one of bce"),
        ({"loss": "wgan-gp"}, "model.norm_d=group"),
        ({"gp_weight": 10.0}, "model.norm_d=group"),
        ({"gp_weight": -1.0}, "model.gp_weight"),
        ({"r1_gamma": 1.0}, "model.norm_d=group"),
        ({"r2_gamma": 1.0, "norm_d": "none", "compile": True}, "model.compile=false"),
        ({"loss": "hinge", "label_smoothing": 0.1}, "belongs to model.loss=bce"),
        ({"augment": ["colour"]}, "model.augment must be a list of color, translation, cutout"),
        ({"augment": "color"}, "model.augment must be a list of color, translation, cutout"),
        ({"penalty_every": 4}, "model.r1_gamma"),
        ({"latent_dim": 0}, "model.latent_dim"),
        ({"width_g": -4}, "model.width_g"),
        ({"width_d": 4.5}, "model.width_d"),
        ({"lr_g": 0}, "model.lr_g"),
        ({"lr_d": float("nan")}, "model.lr_d"),
        ({"lr_d": "fast"}, "model.lr_d"),
        ({"betas_g": 0.5}, "model.betas_g"),
        ({"betas_d": [0.5, 1.0]}, "model.betas_d must be two numbers from 0 to below 1"),
        ({"ema_half_life": -1}, "model.ema_half_life"),
        ({"accumulate": 0}, "model.accumulate"),
        ({"clip": 0}, "model.clip"),
        ({"compile": "yes"}, "model.compile"),
        ({"norm_d": "layer"}, "model.norm_d must be one of batch, group, none"),
        ({"image_size": 20.5}, "dataset.image_size"),
    ],
)
def test_what_cannot_be_trained_is_refused(options: dict[str, Any], sentence: str):
    with pytest.raises(InputError, match=sentence):
        GAN(**options)


def test_penalties_name_what_asks_for_them():
    assert GANSettings().penalties == []
    assert GANSettings(loss="wgan-gp", norm_d="group").penalties == ["gp_weight"]
    assert GANSettings(r1_gamma=1, r2_gamma=2, norm_d="none").penalties == ["r1_gamma", "r2_gamma"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": 0}, "n must be a whole number of at least 1, not 0"),
        ({"seed": -1}, "seed"),
        ({"truncation": 0.0}, "truncation must be a number of at least 0.01 or null"),
        ({"format": "jpg"}, "format must be one of png, npz, not 'jpg'"),
        ({"grid": "yes"}, "grid must be true or false"),
        ({"batch_size": 1.5}, "batch_size"),
    ],
)
def test_what_cannot_be_sampled_is_refused(options: dict[str, Any], sentence: str):
    with pytest.raises(InputError, match=sentence):
        SampleSettings(**options)
