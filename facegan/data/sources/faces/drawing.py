"""Procedural portraits: the faces behind ``dataset=synthetic``, drawn exactly as labelled.

Every part is a signed distance function (negative inside) evaluated in face coordinates, a block
of portraits at a time, and composited back to front in float32. The technique is Inigo Quilez'
(https://iquilezles.org/articles/distfunctions2d); coverage is the distance over one pixel, so
edges are anti-aliased at any size. Only numpy: every worker process imports this module.

Face coordinates: the head's centre is (0, 0), its crown y = -1, its chin y = 1, and x = 0.75 about
its side; y points down. Traits are arrays (n, 1, 1), colours (3, n, 1, 1), both in [0, 1].
"""

from types import SimpleNamespace

import numpy as np

from facegan.data.sources.faces import face, hair, worn
from facegan.data.sources.faces.canvas import REACH, Canvas, pixel_grid
from facegan.data.sources.faces.people import ATTRIBUTES, Array, sample_traits, take

# Part of every synthetic store's key. Change it whenever a pixel changes, so that stores of the old
# faces are not used for the new ones. (A hash of the file that first drew these faces.)
VERSION = "24286abea1ee22c701ba1ae1e0323b320e0460fece8ce1df21aed94d85231b95"

_BLOCK_PIXELS = 2**17  # pixels drawn at a time: a float32 plane of them (512 KiB) stays in cache


def draw_faces(attributes: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw one portrait per row of attributes: uint8 (n, 3, size, size).

    How much `rng` is advanced depends neither on the attributes nor, except for the grain, on the
    size: from the same state, a flipped attribute changes that attribute alone, and another size
    shows the same people. Contradictory attributes are resolved as on a real head (Bald hides the
    hair). Raises ValueError for attributes of another width.
    """
    attributes = np.asarray(attributes)
    if attributes.ndim != 2 or attributes.shape[1] != len(ATTRIBUTES):
        raise ValueError(f"attributes must be (n, {len(ATTRIBUTES)}), got {attributes.shape}")
    traits = sample_traits(attributes, rng)
    images = np.empty((len(attributes), 3, size, size), np.uint8)
    block = max(1, _BLOCK_PIXELS // size**2)
    for start in range(0, len(images), block):
        chosen = slice(start, start + block)
        pixels = _portraits(take(traits, chosen), size)
        pixels += rng.standard_normal(pixels.shape[1:], np.float32) * traits.grain[chosen]
        np.clip(pixels, 0, 1, out=pixels)
        pixels *= 255
        pixels += 0.5
        images[chosen] = pixels.astype(np.uint8).swapaxes(0, 1)
    return images


def _portraits(t: SimpleNamespace, size: int) -> Array:
    """Draw a block of portraits back to front: float32 (3, n, size, size), about [0, 1]."""
    canvas = Canvas(t, _background(t, size))
    for draw in (
        hair.back, worn.clothes, face.neck, face.ears, face.skin, face.cheeks, face.age, face.nose,
        face.eyes, face.brows, face.mouth, hair.beard, hair.front, hair.bangs, worn.glasses,
        worn.hat,
    ):  # fmt: skip
        draw(canvas)
    return _lens(canvas.pixels, t)


def _background(t: SimpleNamespace, size: int) -> Array:
    """A wall, a sky, a corner: two colours that meet softly or sharply, and a glow."""
    x = pixel_grid(size) / REACH
    y = x[:, None]
    ramp = (0.5 + (x * np.cos(t.bg_angle) + y * np.sin(t.bg_angle)) * t.bg_sharp).clip(0, 1)
    glow = t.bg_glow * np.exp(-3 * ((x - t.bg_x) ** 2 + (y - t.bg_y) ** 2))
    pixels = ramp * (t.bg_b - t.bg_a)
    pixels += t.bg_a
    pixels += glow
    return pixels


def _lens(pixels: Array, t: SimpleNamespace) -> Array:
    """What a camera adds: a slight blur, vignette and exposure."""
    soft = 0.25 * t.blur * min(1, pixels.shape[-1] / 64)
    for axis in (-1, -2):
        p = pixels.swapaxes(axis, -1)
        p[..., 1:-1] += soft * (p[..., 2:] + p[..., :-2] - 2 * p[..., 1:-1])
    x = pixel_grid(pixels.shape[-1]) / REACH
    pixels *= t.exposure * (1 - t.vignette * (x * x + (x * x)[:, None]))
    return pixels
