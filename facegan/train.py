"""Train a GAN: ``python -m facegan.train dataset=celeba trainer.devices=4``.

Composes the configuration, builds data, model, callbacks, loggers and trainer from it, and fits.
``--help`` lists what can be set.
"""

import contextlib
import json
import logging
from pathlib import Path
from typing import Any

from facegan.cli.conf import output_dir
from facegan.cli.invocation import Invocation
from facegan.cli.resume import with_resumed_overrides
from facegan.cli.run import run, run_worker
from facegan.cli.sweep import own_gpus
from facegan.errors import FinishedError, InputError
from facegan.launch.devices import limit_threads, num_devices
from facegan.launch.environment import is_main, rank, restarted, started, started_otherwise
from facegan.launch.processes import configuration, run_ranks
from facegan.run_dir import RESULT, claimed
from facegan.training.checks import check_configuration

log = logging.getLogger(__name__)


def train(cfg: Any) -> float | None:
    """Train as ``cfg`` says; everything about the run is written to ``cfg.run_dir``.

    On several devices this process starts one worker per device and waits. Returns the objective,
    which searches optimise, or None if it was not measured.
    """
    invocation = Invocation.of_job(cfg)
    with _own_run_dir(invocation):
        if (others := started_otherwise()) is not None:
            raise InputError(
                f"{others} is set, but not by torchrun or srun: each process would train the same "
                "run. Start it with torchrun, on each machine, or unset the variable."
            )
        _, trainer = check_configuration(invocation.config, started(), output_dir())
        count = num_devices(trainer.devices, trainer.accelerator)
        with own_gpus(trainer.devices, trainer.accelerator, count) as numbers:
            if numbers is not None:
                invocation = invocation.with_devices(numbers)
            if count > 1 and not started():
                run_ranks(invocation.dumps(), count)
            else:
                train_rank(invocation)
    if rank() > 0:
        return None
    return json.loads((Path(cfg.run_dir) / RESULT).read_text(encoding="utf-8"))["objective"]


def train_rank(invocation: Invocation) -> None:
    """Train in this process, alone or as one of several.

    A job that a scheduler has started again is done where its run had ended before.
    """
    from facegan.cli.experiment import build  # here: --help needs no torch
    from facegan.training.fit import fit

    limit_threads()
    try:
        fit(build(invocation))
    except FinishedError:
        if not restarted():
            raise
        if rank() == 0:
            log.info("Done: the run in %s has had all its epochs.", invocation.config["run_dir"])


@contextlib.contextmanager
def _own_run_dir(invocation: Invocation) -> Any:
    """Lock the run directory and, for a run that is not resumed, save its configuration there."""
    if not is_main():
        yield
        return
    config = invocation.config
    resumed = config["resume"]["dir"] is not None
    # A machine that has died may hold a lock for minutes on a network's file system.
    patience = 300 if restarted() else 0
    with claimed(config["run_dir"], resumed or restarted(), patience, keep=config["searched"]):
        if not resumed:
            invocation.save()
        yield


def main() -> None:
    if (parent_job := configuration()) is not None:
        run_worker(train_rank, Invocation.loads(parent_job))
    else:
        run(train, "config", with_resumed_overrides)


if __name__ == "__main__":
    main()
