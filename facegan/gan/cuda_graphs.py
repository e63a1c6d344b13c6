"""Both half-steps as one launch: on a GPU, small networks mostly wait for their kernels.

A training step of a DCGAN is hundreds of kernels of a few microseconds each, and starting them one
by one from Python takes several times as long as they do.
"""

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from facegan.errors import InputError

WARM_UP = 3  # calls that run as usual, in which optimizers and cuDNN make what they keep


class GraphedStep:
    """``step(images, *flags)`` captured as a CUDA graph and replayed from its fourth call on.

    Of every shape of ``images`` and every combination of ``flags`` there is a graph. A replay does
    what ``step`` did on the GPU when it was captured, on new images, with new random numbers and
    on the same weights in place; its Python does not run again, so it may not ask for values
    (``item``) and what it changes must be tensors.

    Args:
        step: returns one tensor.
        on_replay: called each time a graph stands in for ``step``'s Python.

    Raises:
        InputError: where a step cannot be captured; no weight has been changed by it.
    """

    def __init__(self, step: Callable[..., Tensor], on_replay: Callable[[], None]) -> None:
        self._step, self._on_replay = step, on_replay
        self._calls: Counter[tuple] = Counter()
        self._graphs: dict[tuple, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}

    def __call__(self, images: Tensor, *flags: bool) -> Tensor:
        key = (images.shape, flags)
        self._calls[key] += 1
        if self._calls[key] <= WARM_UP:
            return self._warm_up(images, *flags)
        if key in self._graphs:
            self._on_replay()
        else:
            self._graphs[key] = self._capture(images, *flags)
        graph, inputs, outputs = self._graphs[key]
        inputs.copy_(images)
        graph.replay()
        return outputs.clone()  # the next replay overwrites them

    def _warm_up(self, images: Tensor, *flags: bool) -> Tensor:
        """As usual, but not on the default stream, from which nothing can be captured."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            outputs = self._step(images, *flags)
        torch.cuda.current_stream().wait_stream(stream)
        return outputs

    def _capture(self, images: Tensor, *flags: bool) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        graph, inputs = torch.cuda.CUDAGraph(), images.clone()
        try:
            with torch.cuda.graph(graph):
                outputs = self._step(inputs, *flags)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise InputError(
                f"The training step cannot be captured as a CUDA graph ({error}): set "
                "model.cuda_graphs=false."
            ) from error
        return graph, inputs, outputs
