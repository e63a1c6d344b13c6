"""How a portrait is drawn: shapes as signed distances, and a canvas that paints them."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np

from facegan.data.sources.faces.people import Array, take

REACH = 1.24  # face units from the middle of the picture to its border


def ellipse(
    x: Array, y: Array, rx: Array | float, ry: Array | float, square: Array | float = 0.0
) -> Array:
    """Distance to first order: the implicit function over the length of its gradient.

    `square` in [0, 1] swells the corners (Fernandez Guasti's squircle).
    """
    ax, ay = 1 / (rx * rx), 1 / (ry * ry)
    uu, vv = x * x * ax, y * y * ay
    value = uu + vv - 1
    if not isinstance(square, float):
        value -= square * uu * vv
    return 0.5 * value / np.sqrt(uu * ax + vv * ay + 1e-6)


def box(x: Array, y: Array, w: Array | float, h: Array | float, r: Array | float) -> Array:
    """A box of half-sides w and h with corners of radius r."""
    u, v = np.abs(x) - (w - r), np.abs(y) - (h - r)
    outside = np.sqrt(np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2)
    return outside + np.minimum(np.maximum(u, v), 0) - r


def segment(x: Array, y: Array, ax: float, ay: float, bx: float, by: float) -> Array:
    """Distance to the segment from a to b."""
    dx, dy = bx - ax, by - ay
    along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clip(0, 1)
    return np.hypot(x - ax - along * dx, y - ay - along * dy)


def union(a: Array, b: Array, k: float) -> Array:
    """Smooth union: the joint is rounded over a distance k."""
    h = np.maximum(k - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * (0.25 / k)


class Canvas:
    """A block of portraits: pixels (3, n, S, S), face coordinates x, y (n, S, S) and traits."""

    def __init__(self, traits: SimpleNamespace, pixels: Array):
        size = pixels.shape[-1]
        self.t, self.pixels = traits, pixels
        self.at: tuple[slice | Array, slice, slice] = (slice(None), slice(None), slice(None))
        self.pixel = 2 * REACH / size / traits.scale  # the side of a pixel in face units
        grid = pixel_grid(size)
        u = (grid - traits.cx) / traits.scale
        v = (grid[:, None] - traits.cy) / traits.scale
        self.cos, self.sin = np.cos(traits.roll), np.sin(traits.roll)
        self.x = u * self.cos + v * self.sin
        self.y = v * self.cos - u * self.sin
        self.head, self.hair = _head_outline(self), _hair_outline(self)

    def part(
        self, x0: float, x1: float, y0: float, y1: float, who: Array | None = None
    ) -> tuple[Canvas, SimpleNamespace]:
        """The canvas cropped to a box in face coordinates and to some portraits; their traits.

        Most parts are small and some are rare: this is what makes drawing fast.
        """
        t, size = self.t, self.pixels.shape[-1]
        x, y = np.array([x0, x1, x0, x1]), np.array([y0, y0, y1, y1])
        corners = (
            t.cy + t.scale * (x * self.sin + y * self.cos),
            t.cx + t.scale * (x * self.cos - y * self.sin),
        )
        low, high = (
            [max(0, int((f(at) / REACH + 1) * size / 2) + more) for at in corners]
            for f, more in ((np.min, 0), (np.max, 1))
        )
        rows, columns = map(slice, low, high)
        everyone: slice | Array = slice(None) if who is None else np.flatnonzero(who)
        part = copy.copy(self)
        part.at = (everyone, rows, columns)
        part.t, part.pixel = take(t, everyone), self.pixel[everyone]
        part.x, part.y, part.head, part.hair = (
            field[part.at] for field in (self.x, self.y, self.head, self.hair)
        )
        return part, part.t

    def inside(self, distance: Array, blur: float = 0.0) -> Array:
        """How much of each pixel a shape covers; blur softens its edge (face units)."""
        cover = (0.5 - distance / (self.pixel + blur)).clip(0, 1)
        return cover * cover * (3 - 2 * cover) if blur else cover

    def paint(self, cover: Array, colour: Array | float) -> None:
        """Lay a colour over the pixels, as opaque as ``cover`` in [0, 1]."""
        layer = self.pixels[:, *self.at]
        layer += cover * (colour - layer)
        self.pixels[:, *self.at] = layer

    def shade(self, light: Array) -> None:
        """Brighten (light > 0) or darken what is painted already."""
        self.pixels[:, *self.at] *= 1 + light


def pixel_grid(size: int) -> Array:
    """Pixel centres along one side, in face units."""
    return ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1) * np.float32(REACH)


def _head_outline(c: Canvas) -> Array:
    """An egg: an ellipse that tapers to the chin, squared at the jaw."""
    t = c.t
    lower = np.maximum(c.y, 0)
    return ellipse(c.x * (1 + t.jaw * lower * lower), c.y, t.width, 1.0, t.square * (c.y > 0))


def _hair_outline(c: Canvas) -> Array:
    """The outline of all hair: a cap, and for long hair what falls below it."""
    t = c.t
    is_long, wavy = np.flatnonzero(t.long), np.flatnonzero(t.wavy)
    w = t.width + 0.02 + t.volume * (0.5 + 0.5 * t.long)
    lean = 0.25 * t.part * (1 - t.long) * (c.y + 0.2)
    cap = ellipse(c.x + lean, c.y + 0.16, w, 0.88 + t.volume * 1.1)
    trim = c.y + 0.02 + 1.6 * np.maximum(np.abs(c.x) - t.width + 0.05, 0)  # shorter over the ears
    shape = np.maximum(cap, 0.7 * trim)
    if len(is_long):
        x, y, t = c.x[is_long], c.y[is_long], take(c.t, is_long)
        bottom = y - t.length + 0.25 * t.curl * x * x
        half = t.length / 2 + 0.1
        fall = box(x, bottom + half, w[is_long] + t.flare * y, half, 0.2)
        shape[is_long] = union(cap[is_long], fall, 0.2)
    if len(wavy):
        x, y, phase = c.x[wavy], c.y[wavy], c.t.strands[wavy]
        shape[wavy] += 0.055 * np.sin(9 * x + phase) * np.sin(8 * y + 2 * phase) - 0.04
    return shape + 9 * c.t.bald
