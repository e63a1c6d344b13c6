"""Run a command: compose its configuration, and turn errors into sentences."""

import functools
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.utils import configure_log
from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from facegan.cli.conf import CONF_DIR
from facegan.cli.directories import removed_if_refused
from facegan.cli.invocation import Invocation, full_error
from facegan.cli.messages import remedy_of, sentence_of, shortened
from facegan.cli.process_state import arguments_for_hydra, quiet, restored
from facegan.cli.sweep import concluded, in_sweep, note_failure
from facegan.errors import FaceganError, InputError, InterruptedRun, OccupiedError
from facegan.files import DISK_FULL
from facegan.launch.environment import is_local_rank_zero, rank, started
from facegan.launch.processes import PEERS_LOST, report_failure
from facegan.quoting import with_quoted_paths

log = logging.getLogger(__name__)


Arguments = Callable[[list[str]], list[str]]


def run(task: Callable[[Any], Any], config_name: str, complete: Arguments = list) -> None:
    """Run ``task`` on the configuration composed from the command line.

    ``complete`` may add arguments that follow from those of the command line.
    An error the user can act on is printed as one sentence, with a non-zero exit status;
    ``HYDRA_FULL_ERROR=1`` shows its traceback. The process is left as it was found: environment,
    ``sys.argv``, warning filters and logging.
    """
    # argparse wants all overrides in one piece; users also type -m between them.
    arguments = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    token = full_error.set(os.environ.get("HYDRA_FULL_ERROR") == "1")
    main = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)
    try:
        with quiet(), removed_if_refused(), _sentences(config_name, arguments, _to_stderr):
            arguments = _without_log_file(complete(with_quoted_paths(arguments)))
            with arguments_for_hydra(arguments), concluded():
                main(_job(task, config_name, arguments))()
    finally:
        full_error.reset(token)


def run_worker(task: Callable[[Invocation], Any], invocation: Invocation) -> None:
    """Run the task on what the parent process has composed, without Hydra.

    Errors the user can act on are reported to the parent, which prints them.
    """
    token = full_error.set(invocation.full_error)
    try:
        with restored(), quiet(_level()), _sentences("config", ()):
            if rank() == 0:
                configure_log(OmegaConf.create(invocation.job_logging))
            task(invocation)
    except RuntimeError as error:
        if not re.search("gloo|nccl|TCPStore|Connection (closed|reset)", str(error), re.IGNORECASE):
            raise
        report_failure(shortened(error), PEERS_LOST)
        sys.exit(PEERS_LOST)  # another process has died, mostly: the parent knows
    finally:
        full_error.reset(token)


def _job(
    task: Callable[[Any], Any], config_name: str, arguments: Sequence[str]
) -> Callable[[DictConfig], Any]:
    """The task as Hydra runs it, once or for each job of a sweep, perhaps in another process."""

    # Hydra names the job, and finds what to relaunch, by the function it is given.
    @functools.wraps(task)
    def job(cfg: DictConfig) -> Any:
        with quiet(_level()):
            if not in_sweep():
                with _sentences(config_name, arguments, log.error):  # into train.log, too
                    return task(cfg)
            try:
                if started():
                    raise InputError(
                        "A sweep starts the processes of its jobs itself: run it without torchrun "
                        "or srun (for SLURM: hydra/launcher=submitit_slurm)."
                    )
                return task(cfg)
            except InterruptedRun as error:
                _end_sweep(error)
            except Exception as error:  # the sweep continues with its other jobs
                if _is_expected(error):
                    sentence = sentence_of(error, config_name, CONF_DIR, arguments)
                    log.error(sentence)
                else:  # CUDA out of memory, or a bug: some sweepers continue without a message
                    sentence = f"{type(error).__name__}: {shortened(error)}"
                    log.exception("Job %s failed.", cfg.run_dir)
                if not isinstance(error, OccupiedError):
                    note_failure(Path(cfg.run_dir), sentence)
                raise

    return job


def _end_sweep(error: InterruptedRun) -> NoReturn:
    """Leave by SystemExit: after an exception Hydra's launcher would start the next job."""
    if full_error.get():
        raise error
    _exit(error, str(error), log.error)


@contextmanager
def _sentences(
    config_name: str, arguments: Sequence[str], say: Callable[[str], object] | None = None
) -> Iterator[None]:
    """End the process with one sentence and a status on errors that the user can act on.

    ``say`` shows the sentence; ``None``: it is reported to the parent process.
    """
    try:
        yield
    except KeyboardInterrupt:
        if say is _to_stderr:
            print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if full_error.get() or not _is_expected(error):
            raise
        _exit(error, sentence_of(error, config_name, CONF_DIR, arguments), say)


def _is_expected(error: Exception) -> bool:
    """Whether the user can act on it: not on a bug, nor on an OSError that names no file."""
    if isinstance(error, FaceganError | CompactHydraException | OmegaConfBaseException):
        return True
    if remedy_of(error) is not None:
        return True
    of_a_file = isinstance(error, OSError) and (error.filename or error.errno in DISK_FULL)
    return bool(of_a_file)


def _exit(error: Exception, sentence: str, say: Callable[[str], object] | None) -> NoReturn:
    status = error.exit_code if isinstance(error, FaceganError) else InputError.exit_code
    if say is None:
        report_failure(sentence, status)
    elif rank() == 0:  # the other processes of a machine would repeat it
        print(file=sys.stderr)  # below a progress bar
        say(sentence)
    elif is_local_rank_zero():
        print(f"Process {rank()}: {sentence}", file=sys.stderr)
    sys.exit(status)


def _to_stderr(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _level() -> int:
    """Rank 0 logs for all."""
    return logging.WARNING if rank() > 0 else logging.NOTSET


def _without_log_file(arguments: list[str]) -> list[str]:
    """Under torchrun or srun only rank 0 writes the log file."""
    if rank() == 0 or any(argument in ("-h", "--help") for argument in arguments):
        return arguments
    return [*arguments, "hydra/job_logging=stdout"]
