"""The bar is drawn now and then, and at the end."""

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from pytorch_lightning.callbacks import TQDMProgressBar

from facegan.training.callbacks import progress


def test_the_bar_is_drawn_ten_times_a_second_and_at_the_end(monkeypatch: pytest.MonkeyPatch):
    drawn: list[int] = []

    def draw(self: Any, trainer: Any, module: Any, outputs: Any, batch: Any, idx: int) -> None:
        drawn.append(idx)

    monkeypatch.setattr(TQDMProgressBar, "on_train_batch_end", draw)
    clock = (0.06 * tick for tick in count())
    monkeypatch.setattr(progress, "perf_counter", lambda: next(clock))
    bar = progress.ProgressBar()
    for idx in range(6):
        trainer: Any = SimpleNamespace(is_last_batch=idx == 5)
        bar.on_train_batch_end(trainer, None, None, None, idx)
    assert drawn == [0, 2, 4, 5]
