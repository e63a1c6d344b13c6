"""DCGAN's strided convolutions on a CPU, with 9 multiplications where the definition has 16.

A 4 x 4 convolution of stride 2 is one of 2 x 2 taps over blocks of 2 x 2 pixels. Of that,
Winograd's F(2 x 2, 2 x 2) computes tiles of 2 x 2 outputs from 3 x 3 blocks (Winograd 1980; Lavin &
Gray 2016, arXiv:1509.09308): ``outputs(blocks(images) * filters(weights))`` with one matrix product
for each of the 9 places in a transformed tile. The transforms consist of sums and differences
alone, so that rounding errors are those of any convolution in float32.

``blocks``, ``filters`` and ``outputs`` are linear: autograd needs only their adjoints, which also
give the transposed convolution.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

WORTHWHILE = 64 * 128  # channels in times out; below, the sums cost more than is saved


class Conv2d(nn.Conv2d):
    """The layer that halves an image: 4 x 4, stride 2, padding 1.

    ``fast``: use Winograd's algorithm where it is faster; else always PyTorch's convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, bias: bool = True, fast: bool = True
    ) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
        self.fast = fast

    def forward(self, images: Tensor) -> Tensor:
        if not _is_faster(images, self, tile=4):
            return super().forward(images)
        return _with_bias(conv2d(images, self.weight), self.bias)


class ConvTranspose2d(nn.ConvTranspose2d):
    """The layer that doubles an image: 4 x 4, stride 2, padding 1. ``fast``: as above."""

    def __init__(
        self, in_channels: int, out_channels: int, bias: bool = True, fast: bool = True
    ) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
        self.fast = fast

    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or not _is_faster(images, self, tile=2):
            return super().forward(images, output_size)
        return _with_bias(conv_transpose2d(images, self.weight), self.bias)


def conv2d(images: Tensor, weight: Tensor) -> Tensor:
    """``F.conv2d(images, weight, stride=2, padding=1)`` of (N, C, H, W) and (O, C, 4, 4).

    H and W are multiples of 4.
    """
    blocks, filters = _BLOCKS(images.permute(0, 2, 3, 1)), _FILTERS(weight)
    products = _Products.apply(blocks.flatten(2, 4), filters)
    tiles = _OUTPUTS(products.unflatten(2, blocks.shape[2:5]))
    return tiles.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def conv_transpose2d(images: Tensor, weight: Tensor) -> Tensor:
    """``F.conv_transpose2d(images, weight, stride=2, padding=1)`` of (N, O, H, W), (O, C, 4, 4).

    H and W are even.
    """
    tiles = images.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    outputs, filters = _OUTPUTS.adjoint(tiles), _FILTERS(weight)
    products = outputs.flatten(2, 4) @ filters
    return _BLOCKS.adjoint(products.unflatten(2, outputs.shape[2:5])).permute(0, 3, 1, 2)


def _is_faster(images: Tensor, layer: Conv2d | ConvTranspose2d, tile: int) -> bool:
    """Whether Winograd's algorithm pays here and applies: sides must be multiples of ``tile``.

    It must not access the layer's weight: spectral norm computes it at every access.
    """
    return (
        layer.fast
        and images.device.type == "cpu"
        and images.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and layer.in_channels * layer.out_channels >= WORTHWHILE
        and images.dim() == 4
        and images.shape[-1] % tile == images.shape[-2] % tile == 0
    )


def _with_bias(maps: Tensor, bias: Tensor | None) -> Tensor:
    return maps if bias is None else maps + bias[:, None, None]


class _Linear(NamedTuple):
    """A linear map, differentiable any number of times."""

    map: Callable[[Tensor], Tensor]
    transposed: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        return _Apply.apply(x, self)

    @property
    def adjoint(self) -> "_Linear":
        return _Linear(self.transposed, self.map)


class _Apply(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, linear: _Linear) -> Tensor:
        ctx.linear = linear
        return linear.map(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.linear.adjoint(gradient), None


class _Products(Function):
    """``a @ b.mT``, whose gradient for b has b's memory layout, unlike that of matmul."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        for_a, for_b = ctx.needs_input_grad
        ctx.save_for_backward(a if for_b else None, b if for_a else None)
        return a @ b.mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved_tensors
        return None if b is None else gradient @ b, None if a is None else gradient.mT @ a


def _blocks(images: Tensor) -> Tensor:
    """Images (N, 4H, 4W, C) to blocks (3, 3, N, H, W, 4C): B^T in the papers."""
    pixels = F.pad(images, (0, 0, 1, 1, 1, 1)).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    return _differences(_differences(pixels.transpose(2, 3), 1), 3).flatten(-3)


def _blocks_transposed(blocks: Tensor) -> Tensor:
    pixels = blocks.unflatten(-1, (2, 2, -1))
    padded = _differences_transposed(_differences_transposed(pixels, 3), 1)
    return padded.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, 1:-1, 1:-1].contiguous()


def _outputs(products: Tensor) -> Tensor:
    """Products (3, 3, N, H, W, O) to tiles (N, H, 2, W, 2, O): A^T in the papers."""
    return _sums_transposed(_sums_transposed(products, 4), 2)


def _outputs_transposed(tiles: Tensor) -> Tensor:
    return _sums(_sums(tiles, 2), 4)


def _filters(weight: Tensor) -> Tensor:
    """Weights (O, C, 4, 4) to filters (3, 3, O, 4C): G in the papers."""
    taps = weight.permute(0, 2, 3, 1).unflatten(2, (2, 2)).unflatten(1, (2, 2))
    return _sums(_sums(taps, 1), 3).flatten(-3)


def _filters_transposed(filters: Tensor) -> Tensor:
    taps = _sums_transposed(_sums_transposed(filters.unflatten(-1, (2, 2, -1)), 3), 1)
    return taps.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


_BLOCKS = _Linear(_blocks, _blocks_transposed)
_OUTPUTS = _Linear(_outputs, _outputs_transposed)
_FILTERS = _Linear(_filters, _filters_transposed)


def _sums(x: Tensor, dim: int) -> Tensor:
    """(..., 2, ...) to (3, ...): y0, y0 + y1, y1."""
    y0, y1 = x.unbind(dim)
    result = x.new_empty(3, *y0.shape)
    result[0], result[2] = y0, y1
    torch.add(y0, y1, out=result[1])
    return result


def _sums_transposed(x: Tensor, dim: int) -> Tensor:
    shape = x.shape[1:]
    result = x.new_empty(*shape[:dim], 2, *shape[dim:])
    y0, y1 = result.unbind(dim)
    torch.add(x[0], x[1], out=y0)
    torch.add(x[1], x[2], out=y1)
    return result


def _differences(x: Tensor, dim: int) -> Tensor:
    """(..., 2t + 1, ...) to (3, ..., t, ...): d0 - d1, d1, d2 - d1 of overlapping triples."""
    d0, d1, d2 = _overlapping(x, dim)
    result = x.new_empty(3, *d1.shape)
    torch.sub(d0, d1, out=result[0])
    result[1] = d1
    torch.sub(d2, d1, out=result[2])
    return result


def _differences_transposed(x: Tensor, dim: int) -> Tensor:
    shape = x.shape[1:]
    result = x.new_empty(*shape[:dim], 2 * shape[dim] + 1, *shape[dim + 1 :])
    d0, d1, d2 = _overlapping(result, dim)
    result.select(dim, -1).zero_()
    d0.copy_(x[0])
    d2 += x[2]
    torch.sub(x[1], x[0], out=d1)
    d1 -= x[2]
    return result


def _overlapping(x: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Views of equal length of places 0, 2, 4, ..., of 1, 3, 5, ... and of 2, 4, 6, ...."""
    before = (slice(None),) * dim
    return x[*before, :-1:2], x[*before, 1::2], x[*before, 2::2]
