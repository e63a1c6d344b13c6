"""Run a command: compose its configuration, and turn errors into sentences."""

import functools
import logging
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
from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegan.cli import resume
from facegan.cli.conf import CONF_DIR, register
from facegan.cli.messages import sentence_of, shortened
from facegan.cli.resume import given, told
from facegan.cli.sweep import conclude, in_sweep, note_failure, raise_if_no_job_succeeded
from facegan.errors import FaceganError, InputError, InterruptedRun, OccupiedError, expect
from facegan.launch.environment import JOB, is_local_rank_zero, rank, started
from facegan.launch.processes import PEERS_LOST, configuration, report
from facegan.quoting import with_quoted_paths

log = logging.getLogger(__name__)

register()


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
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1" and JOB not in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise what it would print in its own words
    expected = (FaceganError, CompactHydraException, OmegaConfBaseException, OSError)
    _quieten()

    def job(cfg: DictConfig) -> Any:
        _quieten()  # also where a launcher runs it in a process of its own
        if rank() > 0:  # what it has to say the first process has said
            logging.getLogger("facegan").setLevel(logging.WARNING)
        try:
            expect(
                not (in_sweep() and started()),
                "A sweep starts the processes of its jobs itself: run it without torchrun or srun "
                "(for SLURM: hydra/launcher=submitit_slurm).",
            )
            return task(cfg)
        except expected as error:
            if in_sweep() and not isinstance(error, InterruptedRun):
                sentence = sentence_of(error, config_name, CONF_DIR)
                log.error(sentence)
                if not isinstance(error, OccupiedError):
                    note_failure(Path(cfg.run_dir), sentence)
                raise  # the sweep goes on with its other jobs
            if full_error:
                raise
            _exit(error, config_name, log.error)  # into train.log, too
        except Exception as error:  # CUDA out of memory, or a bug
            if in_sweep():  # some sweepers go on without a word
                log.exception("Job %s failed.", cfg.run_dir)
                note_failure(Path(cfg.run_dir), f"{type(error).__name__}: {shortened(error)}")
            raise

    main = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)
    # Hydra names the job, and finds what to relaunch, by the function it is given.
    job = functools.wraps(task)(job)
    try:
        given = configuration()
        if given is not None:
            _run_started(job, given)
            return
        # argparse wants all overrides in one piece; people also type -m between them.
        arguments = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
        arguments = with_quoted_paths(arguments)
        sys.argv[1:] = _quiet_beside_the_first(complete(arguments))
        try:
            main(job)()
        except Exception as error:
            raise_if_no_job_succeeded(error)
            raise
        finally:
            conclude()
    except expected as error:
        if full_error:
            raise
        _exit(error, config_name, lambda sentence: print(sentence, file=sys.stderr))
    except KeyboardInterrupt:
        if JOB not in os.environ:
            print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)


def _exit(error: Exception, config_name: str, say: Callable[[str], object]) -> NoReturn:
    sentence = sentence_of(error, config_name, CONF_DIR)
    status = error.exit_code if isinstance(error, FaceganError) else InputError.exit_code
    if JOB in os.environ:
        report(sentence, status)
    elif rank() == 0:  # the other processes of a machine would repeat it
        print(file=sys.stderr)  # below a progress bar
        say(sentence)
    elif is_local_rank_zero():
        print(f"Process {rank()}: {sentence}", file=sys.stderr)
    sys.exit(status)


def _run_started(job: Callable[[DictConfig], Any], given: str) -> None:
    """Do what the process that started this one has composed already, without Hydra."""
    content = yaml.safe_load(given)  # what is told of Hydra is no part of the configuration
    of_hydra = content.pop("hydra")
    cfg = OmegaConf.create(content)
    if rank() == 0:
        configure_log(OmegaConf.create(of_hydra["job_logging"]))
    resume.started_with |= {key: of_hydra[key] for key in ("overrides", "hydra", "config")}
    try:
        job(cfg)
    except RuntimeError as error:
        if not re.search("gloo|nccl|TCPStore|Connection (closed|reset)", str(error), re.IGNORECASE):
            raise
        report(shortened(error), PEERS_LOST)
        sys.exit(PEERS_LOST)  # another process has died, mostly: the one that waits knows


def resolved(cfg: DictConfig) -> str:
    """``cfg``, its overrides and how its job logs, as YAML that can be read without resolvers."""
    content: Any = OmegaConf.to_container(cfg, resolve=True)
    logging_of_job = OmegaConf.to_container(HydraConfig.get().job_logging, resolve=True)
    of_hydra = {
        "job_logging": logging_of_job,
        "overrides": given(),
        **told(cfg),
    }
    return OmegaConf.to_yaml({**content, "hydra": of_hydra})


def _quiet_beside_the_first(arguments: list[str]) -> list[str]:
    """Of the processes that torchrun or srun has started, the first one alone writes files."""
    if rank() == 0 or any(argument in ("-h", "--help") for argument in arguments):
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
        ".*does not have many workers.*",  # a batch is one gather: see ImageDataModule
        ".*your dataloader is not resumable.*",  # it is: see ImageDataModule
        ".*`val_dataloader` but have no `validation_step`.*",
        ".*recommended to use `self.log.*sync_dist.*",  # all ranks log the same
        ".*module\\(s\\) in eval mode.*",  # the averaged generator
    ):
        warnings.filterwarnings("ignore", message)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
