"""The configuration in conf/: where it is, its resolvers, and building objects from it."""

import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegan.cli.help import group_table, key_table
from facegan.cli.messages import one_line
from facegan.cli.settings import CommandSettings
from facegan.cli.sweep import direction_of, first_job, in_sweep, sweep_name
from facegan.clusters.settings import ClusterSettings
from facegan.data.settings import KINDS, DataSettings
from facegan.errors import FaceganError, InputError
from facegan.features.names import network_name
from facegan.gan.settings import ConditionSettings, GANSettings, SampleSettings
from facegan.launch.devices import strategy_for
from facegan.launch.environment import local_world_size, nodes, run_name
from facegan.probes.settings import LabellingSettings, NetworkSettings, ProbeSettings
from facegan.quality.names import name_of
from facegan.quality.settings import EvaluationSettings, QualitySettings
from facegan.settings import Settings
from facegan.training.settings import TrainerSettings, TrainSettings

_PACKAGE = Path(__file__).parent.parent
_INSTALLED, _CHECKOUT = _PACKAGE / "conf", _PACKAGE.parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


# Defaults of each class, as /settings/NAME in a defaults list: conf/ holds only what differs.
SETTINGS: dict[str, type[Settings]] = {
    "command": CommandSettings,
    "clustering": ClusterSettings,
    **KINDS,
    "classify": ProbeSettings,
    "cnn": NetworkSettings,
    "labelling": LabellingSettings,
    "train": TrainSettings,
    "trainer": TrainerSettings,
    "model": GANSettings,
    "condition": ConditionSettings,
    "sample": SampleSettings,
    "quality": QualitySettings,
    "evaluation": EvaluationSettings,
}


class _Shared(dict[str, Any]):
    """A group of the config store that is not copied with it.

    Hydra copies the whole store for each group that it looks up, 130 times for ``--help``. A node
    is copied on its own when it is loaded.
    """

    def __deepcopy__(self, memo: object) -> "_Shared":
        return self


def register() -> None:
    """Give Hydra the resolvers of conf/ and the defaults of every settings class."""
    for name, function in RESOLVERS.items():
        # Once for a whole sweep, as Hydra's own "now" is.
        cached = name in ("run_name", "first_job")
        OmegaConf.register_new_resolver(name, function, use_cache=cached, replace=True)
    store = ConfigStore.instance()
    for name, settings in SETTINGS.items():
        store.store(name, settings.defaults(), group="settings")
    store.repo["settings"] = _Shared(store.repo["settings"])


def plain(cfg: DictConfig) -> dict[str, Any]:
    """``cfg`` resolved, as dicts, lists and scalars: what settings are read from."""
    content: Any = OmegaConf.to_container(cfg, resolve=True)
    return content


def output_dir() -> str | None:
    """Hydra's output directory for this job; None outside Hydra."""
    return HydraConfig.get().runtime.output_dir if HydraConfig.initialized() else None


def score_name(score: str, extractor: Any) -> str:
    """The full name of ``score`` with ``quality.extractor``, which may not be composed yet."""
    if not isinstance(extractor, DictConfig):
        return score
    return name_of(score, network_name(str(extractor.get("kind")), extractor.get("layer")))


def keys(*names: str, _root_: DictConfig) -> str:
    """For ``--help``: a table of the keys that ``SETTINGS`` declares for each of ``names``.

    A key that several of them have is listed once, with its last meaning.
    """
    # An option of the group dataset that facegan does not have has at least the common keys.
    rows = {row[0]: row for name in names for row in SETTINGS.get(name, DataSettings).table()}
    return key_table(list(rows.values()), _root_)


def either(condition: Any, yes: Any, no: Any) -> Any:
    """``yes`` where ``condition`` is true, else ``no``."""
    return yes if condition else no


RESOLVERS: dict[str, Callable[..., Any]] = {
    "not": operator.not_,
    "either": either,
    "score_name": score_name,
    "strategy_for": strategy_for,
    "local_world_size": local_world_size,
    "nodes": nodes,
    "in_sweep": in_sweep,
    "sweep_name": sweep_name,
    "add": operator.add,
    "first_job": first_job,
    "direction_of": direction_of,
    "run_name": run_name,
    "keys": keys,
    "groups": lambda: group_table(CONF_DIR),
}


def instantiate(cfg: Mapping[str, Any] | DictConfig, key: str, **arguments: Any) -> Any:
    """Instantiate the node ``key``: lists and dicts become plain ones, errors name the node.

    ``arguments`` are added to the node's own. The only call site of ``hydra.utils.instantiate``.
    """
    try:
        return hydra.utils.instantiate(cfg[key], _convert_="all", **arguments)
    except (InstantiationException, OmegaConfBaseException) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        # A message for users already, or a bug, whose traceback is needed.
        if isinstance(cause, (FaceganError, AssertionError, AttributeError, NameError)):
            raise cause from error
        raise InputError(f"{key}: {one_line(cause)}") from error


register()  # conf/ cannot be composed without
