"""Configurations as Hydra composes them, without running a command."""

import copy
from functools import cache

import hydra
from omegaconf import DictConfig, OmegaConf

from facegan.cli import experiment
from facegan.cli.conf import CONF_DIR, plain
from facegan.cli.invocation import Invocation
from facegan.cli.overrides import parsed
from facegan.training.checks import check_configuration
from facegan.training.fit import Experiment


def composed(name: str, *overrides: str) -> DictConfig:
    """The configuration ``name`` of ``conf/``, composed once for each list of overrides."""
    return copy.deepcopy(_composed(name, overrides))


def changed(cfg: DictConfig, *overrides: str) -> DictConfig:
    """``cfg`` with other values: what Hydra makes of overrides that choose no option of a group."""
    for key, override in parsed(overrides).items():
        OmegaConf.update(cfg, key, override.value(), force_add=override.is_add())
    return cfg


def build_experiment(cfg: DictConfig) -> Experiment:
    """What ``facegan.train`` trains on one device, after its checks."""
    check_configuration(plain(cfg), started=False, output_dir=None)
    return experiment.build(Invocation(plain(cfg), [], "", "", {}))


@cache
def _composed(name: str, overrides: tuple[str, ...]) -> DictConfig:
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        return hydra.compose(name, list(overrides))
