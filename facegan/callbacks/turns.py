"""When a callback has its turn, and which process does its work."""

from collections.abc import Callable

import pytorch_lightning as pl

from facegan.errors import expect
from facegan.features import Ranks


def is_due(trainer: pl.Trainer, every_n_epochs: int) -> bool:
    """Whether it is, at the end of an epoch: every so many, and after the last one.

    Which one that is, early stopping says only after the others have had their turn.
    """
    epoch = trainer.current_epoch + 1
    return epoch % every_n_epochs == 0 or epoch == trainer.max_epochs or trainer.should_stop


def ranks_of(trainer: pl.Trainer) -> Ranks:
    """The processes of this training, to share the reading of images."""
    return Ranks(trainer.global_rank, trainer.world_size, trainer.strategy.all_gather)


def on_the_first(
    trainer: pl.Trainer, work: Callable[[], dict[str, float]], what: str
) -> dict[str, float]:
    """The metrics that ``work`` gives on the first process, on every process the same.

    All of them have to call it. If it fails, all of them do: the others would wait for ever.
    """
    metrics: dict[str, float] = {}
    failure = None
    if trainer.is_global_zero:
        try:
            metrics = work()
        except Exception as error:
            failure = error
    metrics, failed = trainer.strategy.broadcast((metrics, failure is not None))
    if failure is not None:
        raise failure
    expect(not failed, f"The first process could not {what}: see what it says.")
    return metrics
