"""Wiring: where conf/ is, how a command line becomes objects, how errors become sentences."""

import functools
import logging
import operator
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from hydra.errors import CompactHydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegan import launch, overrides, sweep
from facegan.errors import FaceganError, InputError, InterruptedRun, OccupiedError, expect
from facegan.metrics import name_of, network_name
from facegan.sentences import one_line, sentence_of, shortened

log = logging.getLogger(__name__)

_INSTALLED, _CHECKOUT = Path(__file__).parent / "conf", Path(__file__).parent.parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def output_dir() -> str | None:
    """Where Hydra has this job write, if it is one of Hydra's."""
    return HydraConfig.get().runtime.output_dir if HydraConfig.initialized() else None


def score_name(score: str, extractor: Any) -> str:
    """What ``score`` is called by ``quality.extractor``, which may be none yet."""
    if not isinstance(extractor, DictConfig):
        return score
    return name_of(score, network_name(str(extractor.get("kind")), extractor.get("layer")))


RESOLVERS: dict[str, Callable[..., Any]] = {
    "not": operator.not_,
    "score_name": score_name,
    "strategy_for": launch.strategy_for,
    "local_world_size": launch.local_world_size,
    "nodes": launch.nodes,
    "in_sweep": sweep.in_sweep,
    "sweep_name": sweep.sweep_name,
    "job_number": sweep.job_number,
    "direction_of": sweep.direction_of,
}
for name, function in RESOLVERS.items():
    OmegaConf.register_new_resolver(name, function, replace=True)
# Once for a whole sweep, as Hydra's own "now" is.
OmegaConf.register_new_resolver("run_name", launch.run_name, use_cache=True, replace=True)


def build(cfg: DictConfig, key: str, **arguments: Any) -> Any:
    """Instantiate the node ``key``: lists and dicts become plain ones, errors name the node.

    ``arguments`` are added to the node's own. The only call site of ``hydra.utils.instantiate``.
    """
    try:
        return hydra.utils.instantiate(cfg[key], _convert_="all", **arguments)
    except (InstantiationException, OmegaConfBaseException) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        # Worded already, or a bug of ours whose traceback is wanted.
        if isinstance(cause, (FaceganError, AssertionError, AttributeError, NameError)):
            raise cause from error
        raise InputError(f"{key}: {one_line(cause)}") from error


def build_data(cfg: DictConfig, hp: Any) -> Any:
    """The data module of ``cfg.dataset``, at the image size and with the channels of ``hp``."""
    expect(
        "_target_" in cfg.dataset,
        "Say which data to use, like dataset=celeba dataset.root=DIR"
        + (f": {cfg.ckpt} does not lie in the directory of a run that tells." if cfg.ckpt else "."),
    )
    for key in ("image_size", "channels"):
        asked = cfg.dataset[key]
        expect(
            asked is None or asked == hp[key],
            f"The network was trained with dataset.{key}={hp[key]}, not {asked}: leave it out.",
        )
    return build(cfg, "dataset", image_size=hp.image_size, channels=hp.channels)


def image_shape(cfg: DictConfig, instead: str) -> DictConfig:
    """Image size and channels, where there is no checkpoint to tell them but ``instead``."""
    sizes = {key: cfg.dataset[key] for key in ("image_size", "channels")}
    expect(
        None not in sizes.values(),
        f"With {instead}, say the size of the images: dataset.image_size=64 dataset.channels=3.",
    )
    return OmegaConf.create(sizes)


def pictures_in(root: object, cfg: DictConfig, hp: Any, name: str) -> Any:
    """The data module of a directory of pictures, at the image size and channels of ``hp``.

    Of each the largest square in the middle is taken, since ``dataset.crop`` is meant for the
    pictures of that data set.
    """
    from facegan.data.folder import Folder

    return Folder(
        name=name,
        root=str(root),
        data_dir=cfg.data_dir,
        image_size=hp.image_size,
        channels=hp.channels,
        max_bad_fraction=cfg.dataset.get("max_bad_fraction", 0.01),
    )


def out_dir(cfg: DictConfig, default: Path) -> Path:
    """The directory that a command writes to: ``cfg.out``, if it is given."""
    return Path(str(cfg.out)).expanduser() if cfg.out else default


def run(
    task: Callable[[DictConfig], Any],
    config_name: str,
    complete: Callable[[list[str]], list[str]] = list,
) -> None:
    """Run ``task`` on the configuration composed from the command line.

    ``complete`` may add to the command line's arguments what follows from them.
    An error the user can act on is printed as one sentence, with a non-zero exit status;
    ``HYDRA_FULL_ERROR=1`` shows its traceback.
    """
    # Set by us in the process that started this one, if there is one.
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1" and launch.JOB not in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise what it would print in its own words
    expected = (FaceganError, CompactHydraException, OmegaConfBaseException, OSError)
    _quieten()

    def job(cfg: DictConfig) -> Any:
        _quieten()  # also where a launcher runs it in a process of its own
        if launch.rank() > 0:  # what it has to say the first process has said
            logging.getLogger("facegan").setLevel(logging.WARNING)
        try:
            expect(
                not (sweep.in_sweep() and launch.started()),
                "A sweep starts the processes of its jobs itself: run it without torchrun or srun "
                "(for SLURM: hydra/launcher=submitit_slurm).",
            )
            return task(cfg)
        except expected as error:
            if sweep.in_sweep() and not isinstance(error, InterruptedRun):
                sentence = sentence_of(error, config_name, CONF_DIR)
                log.error(sentence)
                if not isinstance(error, OccupiedError):
                    sweep.note_failure(Path(cfg.run_dir), sentence)
                raise  # the sweep goes on with its other jobs
            if full_error:
                raise
            _exit(error, config_name, log.error)  # into train.log, too
        except Exception as error:  # CUDA out of memory, or a bug
            if sweep.in_sweep():  # some sweepers go on without a word
                log.exception("Job %s failed.", cfg.run_dir)
                sweep.note_failure(Path(cfg.run_dir), f"{type(error).__name__}: {shortened(error)}")
            raise

    main = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)
    # Hydra names the job, and finds what to relaunch, by the function it is given.
    job = functools.wraps(task)(job)
    try:
        given = launch.configuration()
        if given is not None:
            _run_started(job, given)
            return
        # argparse wants all overrides in one piece; people also type -m between them.
        arguments = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
        arguments = overrides.with_quoted_paths(arguments)
        sys.argv[1:] = _quiet_beside_the_first(complete(arguments))
        try:
            main(job)()
        except Exception as error:
            sweep.raise_if_no_job_succeeded(error)
            raise
        finally:
            sweep.conclude()
    except expected as error:
        if full_error:
            raise
        _exit(error, config_name, lambda sentence: print(sentence, file=sys.stderr))
    except KeyboardInterrupt:
        if launch.JOB not in os.environ:
            print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)


def _exit(error: Exception, config_name: str, say: Callable[[str], object]) -> NoReturn:
    sentence = sentence_of(error, config_name, CONF_DIR)
    if launch.JOB in os.environ:
        launch.report_error(sentence)
    elif launch.rank() == 0:  # the other processes of a machine would repeat it
        print(file=sys.stderr)  # below a progress bar
        say(sentence)
    elif launch.is_local_rank_zero():
        print(f"Process {launch.rank()}: {sentence}", file=sys.stderr)
    sys.exit(error.exit_code if isinstance(error, FaceganError) else 2)


def _run_started(job: Callable[[DictConfig], Any], given: str) -> None:
    """Do what the process that started this one has composed already, without Hydra."""
    content = yaml.safe_load(given)  # what is told of Hydra is no part of the configuration
    of_hydra = content.pop("hydra")
    cfg = OmegaConf.create(content)
    if launch.rank() == 0:
        configure_log(OmegaConf.create(of_hydra["job_logging"]))
    overrides.started_with |= {key: of_hydra[key] for key in ("overrides", "hydra", "config")}
    try:
        job(cfg)
    except RuntimeError as error:
        if not re.search("gloo|nccl|TCPStore|Connection (closed|reset)", str(error), re.IGNORECASE):
            raise
        launch.report_lost_peers(shortened(error))
        sys.exit(launch.LOST)  # another process has died, mostly: the one that waits knows


def resolved(cfg: DictConfig) -> str:
    """``cfg``, its overrides and how its job logs, as YAML that can be read without resolvers."""
    content: Any = OmegaConf.to_container(cfg, resolve=True)
    logging_of_job = OmegaConf.to_container(HydraConfig.get().job_logging, resolve=True)
    of_hydra = {
        "job_logging": logging_of_job,
        "overrides": overrides.given(),
        **overrides.told(cfg),
    }
    return OmegaConf.to_yaml({**content, "hydra": of_hydra})


def _quiet_beside_the_first(arguments: list[str]) -> list[str]:
    """Of the processes that torchrun or srun has started, the first one alone writes files."""
    if launch.rank() == 0 or any(argument in ("-h", "--help") for argument in arguments):
        return arguments
    return [*arguments, "hydra/job_logging=stdout"]


def _quieten() -> None:
    """Hide what libraries say to developers; what matters to a user is said by us."""
    for name in (
        "pytorch_lightning.utilities.rank_zero",
        "lightning_fabric.utilities.seed",
        "lightning_fabric.utilities.distributed",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*number of training batches .* is smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*The dirpath has changed from.*",  # ckpt= starts a new run
        ".*your dataloader is not resumable.*",  # it is: see ImageDataModule
        ".*`val_dataloader` but have no `validation_step`.*",
        ".*recommended to use `self.log.*sync_dist.*",  # all ranks log the same
        ".*module\\(s\\) in eval mode.*",  # the averaged generator
    ):
        warnings.filterwarnings("ignore", message)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
