"""Launching a whole training step at once: on a GPU, small networks mostly wait for their kernels.

A training step of a DCGAN is hundreds of kernels of a few microseconds each; launching them one
by one from Python takes several times as long as running them.
"""

from collections import Counter
from collections.abc import Callable

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from facegan.errors import InputError
from facegan.lightning_internals import detects_anomalies

WARM_UP = 3  # ordinary calls, in which optimizers and cuDNN allocate their state


def can_capture(trainer: pl.Trainer) -> bool:
    """Whether a training step of this trainer can be a CUDA graph.

    DDP waits for the GPU even with one device; the loss scaling of float16 and the detection of
    anomalies read values from it.
    """
    strategy = trainer.strategy
    return (
        isinstance(strategy, SingleDeviceStrategy)
        and strategy.root_device.type == "cuda"
        and trainer.precision != "16-mixed"
        and not detects_anomalies(trainer)
    )


class GraphedStep:
    """``step(*inputs, **options)`` captured as a CUDA graph and replayed from its fourth call on.

    There is one graph for each combination of input shapes and options. A replay repeats what
    ``step`` did on the GPU at its capture, with copies of the new inputs, new random numbers and
    the current weights. Its Python does not run again: ``step`` must not read values from the GPU
    (``item``), and all it changes must be tensors.

    ``on_replay`` is called each time a replay stands in for ``step``'s Python. Raises InputError if
    the step cannot be captured; no weight has changed then.
    """

    def __init__(self, step: Callable[..., Tensor], on_replay: Callable[[], None]) -> None:
        self._step, self._on_replay = step, on_replay
        self._calls: Counter[tuple] = Counter()
        self._graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]] = {}

    def __call__(self, *inputs: Tensor, **options: int) -> Tensor:
        key = (*(tensor.shape for tensor in inputs), *options.items())
        self._calls[key] += 1
        if self._calls[key] <= WARM_UP:
            return self._warm_up(inputs, options)
        if key in self._graphs:
            self._on_replay()
        else:
            self._graphs[key] = self._capture(inputs, options)
        graph, captured, outputs = self._graphs[key]
        for target, tensor in zip(captured, inputs, strict=True):
            target.copy_(tensor)
        graph.replay()
        return outputs.clone()  # the next replay overwrites them

    def _warm_up(self, inputs: tuple[Tensor, ...], options: dict[str, int]) -> Tensor:
        """An ordinary call, but not on the default stream, which cannot be captured."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            outputs = self._step(*inputs, **options)
        torch.cuda.current_stream().wait_stream(stream)
        return outputs

    def _capture(
        self, inputs: tuple[Tensor, ...], options: dict[str, int]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]:
        graph, captured = torch.cuda.CUDAGraph(), [tensor.clone() for tensor in inputs]
        try:
            with torch.cuda.graph(graph):
                outputs = self._step(*captured, **options)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise InputError(
                f"The training step cannot be captured as a CUDA graph ({error}): set "
                "model.cuda_graphs=false."
            ) from error
        return graph, captured, outputs
