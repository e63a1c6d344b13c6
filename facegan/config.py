"""Wiring: where conf/ is, how a command line becomes objects, how errors become sentences."""

import functools
import json
import logging
import operator
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from hydra.errors import (
    CompactHydraException,
    InstantiationException,
)
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegan import launch, overrides
from facegan.errors import FaceganError, InputError, InterruptedRun, OccupiedError, expect
from facegan.metrics import name_of, network_name
from facegan.run_dir import RESULT
from facegan.sentences import one_line, sentence_of, shortened

log = logging.getLogger(__name__)

GPUS = ("auto", "gpu", "cuda")  # values of trainer.accelerator that mean them where there are any
FIRST_JOB = "FACEGAN_FIRST_JOB"  # number of a sweep's first job, for processes that run its jobs

_INSTALLED, _CHECKOUT = Path(__file__).parent / "conf", Path(__file__).parent.parent / "conf"
CONF_DIR = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def strategy_for(devices: int | str | list[int], num_nodes: int, accelerator: str = "auto") -> str:
    """Lightning's strategy: ``auto`` for one device, for several the DDP that a GAN needs.

    Each half-step uses one network only, which plain DDP takes for an error.
    """
    several = num_devices(devices, accelerator) > 1 or num_nodes > 1
    return "ddp_find_unused_parameters_true" if several else "auto"


def num_devices(devices: int | str | list[int], accelerator: str = "auto") -> int:
    """How many devices ``trainer.devices`` means: a number, -1 or auto (all GPUs), or a list."""
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    if devices in ("auto", -1, "-1"):
        return max(1, _visible_gpus()) if accelerator in GPUS else 1
    # Lightning reports invalid values.
    return int(devices) if str(devices).lstrip("-").isdigit() else 1


def in_sweep() -> bool:
    """Whether this is a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def output_dir() -> str | None:
    """Where Hydra has this job write, if it is one of Hydra's."""
    return HydraConfig.get().runtime.output_dir if HydraConfig.initialized() else None


@contextmanager
def own_gpus(cfg: DictConfig, count: int) -> Iterator[None]:
    """While a sweep's job runs, have ``trainer.devices`` name GPUs that its other jobs do not use.

    A launcher may run several at once. Where there is nothing to choose from nothing happens.
    """
    wanted = cfg.trainer.accelerator in GPUS and isinstance(cfg.trainer.devices, int)
    if not (in_sweep() and wanted and _visible_gpus() >= max(2, count)):
        yield
        return
    with launch.free_gpus(count, _visible_gpus(), str(sweep_name())) as numbers:
        cfg.trainer.devices = numbers
        yield


def _visible_gpus() -> int:
    import torch

    return torch.cuda.device_count()


OmegaConf.register_new_resolver("not", operator.not_, replace=True)
OmegaConf.register_new_resolver("strategy_for", strategy_for, replace=True)
for name in ("local_world_size", "nodes"):
    OmegaConf.register_new_resolver(name, getattr(launch, name), replace=True)
# Once for a whole sweep, as Hydra's own "now" is.
OmegaConf.register_new_resolver("run_name", launch.run_name, use_cache=True, replace=True)


def direction_of(mode: str) -> str:
    """Optuna's word for ``objective.mode``."""
    return {"min": "minimize", "max": "maximize"}.get(mode, mode)


def sweep_name() -> str | None:
    """What the sweep is called that this run belongs to, if it belongs to one."""
    return Path(HydraConfig.get().sweep.dir).name if in_sweep() else None


def job_number(number: int) -> int:
    """The number of a job in its sweep's directory, which may hold those of an earlier search."""
    return number + int(os.environ.get(FIRST_JOB, 0))


class SweepStart(Callback):
    """Hydra tells it where the jobs of a sweep will be, before there is one."""

    directory: Path | None = None  # of the sweep of this process

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        directory = Path(config.hydra.sweep.dir)
        there = [int(path.name) for path in directory.glob("*") if path.name.isdigit()]
        os.environ[FIRST_JOB] = str(max(there, default=-1) + 1)
        directory.mkdir(parents=True, exist_ok=True)  # for the storage of a search
        SweepStart.directory = directory


def score_name(score: str, extractor: Any) -> str:
    """What ``score`` is called by ``quality.extractor``, which may be none yet."""
    if not isinstance(extractor, DictConfig):
        return score
    return name_of(score, network_name(str(extractor.get("kind")), extractor.get("layer")))


for resolver in (direction_of, in_sweep, sweep_name, job_number, score_name):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


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
                not (in_sweep() and launch.started()),
                "A sweep starts the processes of its jobs itself: run it without torchrun or srun "
                "(for SLURM: hydra/launcher=submitit_slurm).",
            )
            return task(cfg)
        except expected as error:
            if in_sweep() and not isinstance(error, InterruptedRun):
                sentence = sentence_of(error, config_name, CONF_DIR)
                log.error(sentence)
                if not isinstance(error, OccupiedError):
                    launch.note_failure(Path(cfg.run_dir), sentence)
                raise  # the sweep goes on with its other jobs
            if full_error:
                raise
            _exit(error, config_name, log.error)  # into train.log, too
        except Exception as error:  # CUDA out of memory, or a bug
            if in_sweep():  # some sweepers go on without a word
                log.exception("Job %s failed.", cfg.run_dir)
                launch.note_failure(
                    Path(cfg.run_dir), f"{type(error).__name__}: {shortened(error)}"
                )
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
            _raise_if_no_job_succeeded(error)
            raise
        finally:
            _conclude_sweep()
    except expected as error:
        if full_error:
            raise
        _exit(error, config_name, lambda sentence: print(sentence, file=sys.stderr))
    except KeyboardInterrupt:
        if launch.JOB not in os.environ:
            print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)


def _raise_if_no_job_succeeded(error: Exception) -> None:
    """In one sentence what a sweeper that needs a result may say in forty lines."""
    directory = SweepStart.directory
    if directory is None or isinstance(error, FaceganError):
        return
    results = [json.loads(path.read_text()) for path in directory.glob(f"*/{RESULT}")]
    errors = [str(result["error"]) for result in results if result.get("error")]
    if errors and len(errors) == len(results):
        raise InputError(f"None of the sweep's {len(errors)} jobs succeeded: {errors[0]}") from None


def _conclude_sweep() -> None:
    """The leaderboard of the sweep of this command, if it was one, whatever became of its jobs."""
    directory, SweepStart.directory = SweepStart.directory, None
    if (
        launch.rank() == 0
        and directory is not None
        and any(path.name.isdigit() for path in directory.glob("*"))
    ):
        from facegan import leaderboard  # here, because it needs torch

        leaderboard.write(directory)


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
