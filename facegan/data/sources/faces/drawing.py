"""Procedural portraits: the faces behind `dataset=synthetic`, drawn exactly as labelled.

Every part is a signed distance function (negative inside) evaluated in face coordinates, a block
of portraits at a time, and composited back to front in float32. The technique is Inigo Quilez'
(https://iquilezles.org/articles/distfunctions2d); coverage is the distance over one pixel, so
edges are anti-aliased at any size. Only numpy: the module is imported by every worker process.

Face coordinates: the head's centre is (0, 0), its crown y = -1, its chin y = 1, and x = 0.75 about
its side; y points down. Traits are arrays (n, 1, 1), colours (3, n, 1, 1), both in [0, 1].
"""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np

Array = np.ndarray

ATTRIBUTES: tuple[str, ...] = (
    "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses",
    "Goatee", "Gray_Hair", "Male", "Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin",
    "Rosy_Cheeks", "Sideburns", "Smiling", "Wavy_Hair", "Wearing_Hat", "Wearing_Lipstick", "Young",
)  # fmt: skip

_REACH = 1.24  # face units from the middle of the picture to its border
_BLOCK_PIXELS = 2**17  # pixels drawn at a time: a float32 plane of them (512 KiB) stays in cache


def sample_attributes(rng: np.random.Generator, n: int) -> Array:
    """Draw n rows of plausible attributes, uint8 (n, len(ATTRIBUTES)), 0 or 1."""

    def chance(p: Array | float) -> Array:
        return rng.random(n) < p

    male, young = chance(0.46), chance(0.72)
    bald = male & chance(np.where(young, 0.1, 0.22))
    hat = ~bald & chance(0.12)
    smiling = chance(0.48)
    # at most one hair colour; the rest are red or dyed, which CelebA has no name for
    gray = ~bald & chance(np.where(young, 0.02, 0.5))
    colour = np.digitize(rng.random(n), (0.28, 0.56, 0.86))
    black, blond, brown = (~bald & ~gray & (colour == i) for i in range(3))
    full_beard = male & chance(0.12)
    mustache = full_beard | male & chance(0.16)
    goatee = full_beard | male & chance(0.14)
    sideburns = full_beard | male & chance(0.05)
    columns = {
        "Bald": bald,
        "Bangs": ~bald & ~hat & chance(np.where(male, 0.16, 0.36)),
        "Black_Hair": black,
        "Blond_Hair": blond,
        "Brown_Hair": brown,
        "Bushy_Eyebrows": chance(np.where(male, 0.32, 0.1)),
        "Eyeglasses": chance(np.where(young, 0.15, 0.3)),
        "Goatee": goatee,
        "Gray_Hair": gray,
        "Male": male,
        "Mouth_Slightly_Open": chance(np.where(smiling, 0.6, 0.3)),
        "Mustache": mustache,
        "No_Beard": ~(mustache | goatee | sideburns),
        "Pale_Skin": chance(0.14),
        "Rosy_Cheeks": chance(np.where(male, 0.06, 0.24)),
        "Sideburns": sideburns,
        "Smiling": smiling,
        "Wavy_Hair": ~bald & ~hat & chance(np.where(male, 0.25, 0.4)),
        "Wearing_Hat": hat,
        "Wearing_Lipstick": chance(np.where(male, 0.01, 0.55)),
        "Young": young,
    }
    return np.stack([columns[name] for name in ATTRIBUTES], axis=1).astype(np.uint8)


def draw_faces(attributes: Array, size: int, rng: np.random.Generator) -> Array:
    """Draw one portrait per row of attributes: uint8 (n, 3, size, size).

    What is taken from `rng` depends on neither the attributes nor, but for the grain, the size:
    in the same state a flipped attribute changes that attribute alone, and another size shows the
    same people. Contradictions are settled as on a real head (Bald hides the hair).
    """
    attributes = np.asarray(attributes)
    if attributes.ndim != 2 or attributes.shape[1] != len(ATTRIBUTES):
        raise ValueError(f"attributes must be (n, {len(ATTRIBUTES)}), got {attributes.shape}")
    traits = _traits(attributes, rng)
    images = np.empty((len(attributes), 3, size, size), np.uint8)
    block = max(1, _BLOCK_PIXELS // size**2)
    for start in range(0, len(images), block):
        chosen = slice(start, start + block)
        pixels = _portraits(_take(traits, chosen), size)
        pixels += rng.standard_normal(pixels.shape[1:], np.float32) * traits.grain[chosen]
        np.clip(pixels, 0, 1, out=pixels)
        pixels *= 255
        pixels += 0.5
        images[chosen] = pixels.astype(np.uint8).swapaxes(0, 1)
    return images


# ---------------------------------------------------------------- who is drawn


def _rgb(*colours: str) -> Array:
    """Hex colours as (len, 3) in [0, 1]."""
    return np.array([list(bytes.fromhex(c)) for c in colours], np.float32) / 255


_SKIN = _rgb("f7dfd3", "f3d4c4", "e6b692", "d49b72", "b57d56", "8a5a3c", "5f3c2a")
_SKIN_AT = (0.0, 0.1, 0.3, 0.48, 0.66, 0.84, 1.0)
_HAIR = {
    "Black": _rgb("15131a", "2c2424"),
    "Brown": _rgb("47291b", "785338"),
    "Blond": _rgb("cfa055", "eed59a"),
    "Gray": _rgb("8e9197", "cdd0d5"),
}
_OTHER = _rgb(
    "9a2f1c", "b8431f", "d0682a", "dc8038", "a8323e", "5d4a9e", "2f7f8a", "d0698f"
)  # fmt: skip
_IRIS = _rgb("3a2416", "5a3a20", "6d7a3c", "3f7f6a", "4a7fb0", "7b8f9c")
_LIPSTICK = _rgb("c2183a", "d83a5e", "9c1f4a", "e0446a", "a3182a")
_FRAMES = _rgb("15151a", "3a2418", "6b1f24", "1f2f55", "5e4a1c")


def _traits(attributes: Array, rng: np.random.Generator) -> SimpleNamespace:
    """Everything that tells one portrait from another, as arrays (n, 1, 1) or (3, n, 1, 1)."""
    n = len(attributes)
    has = {name: attributes[:, i] != 0 for i, name in enumerate(ATTRIBUTES)}

    def uniform(low: Array | float, high: Array | float) -> Array:
        return (low + (np.asarray(high) - low) * rng.random(n)).astype(np.float32)

    def normal(sigma: float) -> Array:
        return (sigma * rng.standard_normal(n).clip(-2, 2)).astype(np.float32)

    def blend(palette: Array) -> Array:
        """A colour anywhere between two neighbours of a palette."""
        at, stops = uniform(0, len(palette) - 1), np.arange(len(palette))
        return np.stack([np.interp(at, stops, channel) for channel in palette.T])

    def choose(palette: Array) -> Array:
        return palette[rng.integers(len(palette), size=n)].T * uniform(0.9, 1.1)

    def hsv(saturation: tuple[float, float], value: tuple[float, float]) -> Array:
        hue, s, v = uniform(0, 6), uniform(*saturation), uniform(*value)
        ramp = np.abs((hue + np.array([[0], [4], [2]])) % 6 - 3) - 1
        return v * (1 - s + s * ramp.clip(0, 1))

    male, young, smiling = has["Male"], has["Young"], has["Smiling"]
    t = SimpleNamespace(
        # pose and picture
        cx=normal(0.045), cy=normal(0.04) + 0.07, scale=uniform(0.94, 1.05), roll=normal(0.06),
        yaw=normal(0.055), light=normal(0.11), exposure=uniform(0.93, 1.05),
        grain=uniform(0.002, 0.008), blur=uniform(0, 1) ** 2 * 0.7, vignette=uniform(0.0, 0.14),
        bg_angle=uniform(0, 2 * np.pi), bg_sharp=np.exp(uniform(-1.2, 1.6)),
        bg_x=uniform(-1, 1), bg_y=uniform(-1, 0.4), bg_glow=uniform(-0.12, 0.16),
        # head
        width=uniform(0.68, 0.78) + 0.02 * male, jaw=uniform(0.1, 0.26) - 0.1 * male,
        square=uniform(0, 0.2) + 0.25 * male, neck=uniform(0.27, 0.31) + 0.1 * male,
        shoulders=uniform(1.0, 1.2) + 0.15 * male, collar=uniform(0.1, 0.25),
        rosy=has["Rosy_Cheeks"] * uniform(0.45, 0.6), age=~young * uniform(0.8, 1.0),
        # eyes and brows
        eye_gap=uniform(0.3, 0.34), eye_y=uniform(-0.04, 0.02), eye_w=uniform(0.165, 0.19),
        eye_h=uniform(0.088, 0.112) - 0.015 * male, eye_low=uniform(0.06, 0.08) - 0.02 * smiling,
        slant=uniform(-0.04, 0.14), gaze_x=normal(0.022), gaze_y=normal(0.008),
        lash=uniform(0.018, 0.024) + 0.018 * ~male,
        brow_y=uniform(-0.25, -0.21), brow_arch=uniform(0.02, 0.07) - 0.02 * male,
        brow_tilt=uniform(-0.05, 0.04), brow_w=uniform(0.17, 0.2) + 0.02 * has["Bushy_Eyebrows"],
        brow_h=np.where(has["Bushy_Eyebrows"], uniform(0.066, 0.08), uniform(0.024, 0.034)),
        # nose and mouth
        nose_w=uniform(0.1, 0.15) + 0.015 * male, nose_y=uniform(0.3, 0.36),
        mouth_y=uniform(0.58, 0.62), mouth_w=uniform(0.22, 0.26) + 0.08 * smiling,
        smile=np.where(smiling, uniform(0.11, 0.16), uniform(-0.035, 0.01)),
        gap=has["Mouth_Slightly_Open"] * (uniform(0.12, 0.17) + 0.02 * smiling),
        teeth=np.where(smiling, 0.62, 0.3),
        lip_up=uniform(0.045, 0.06) + 0.014 * ~male, lip_low=uniform(0.06, 0.08) + 0.015 * ~male,
        mustache=has["Mustache"], goatee=has["Goatee"], sideburns=has["Sideburns"],
        droop=uniform(0.0, 0.1), goatee_w=uniform(0.2, 0.3),
        # hair
        bald=has["Bald"], bangs=has["Bangs"], wavy=has["Wavy_Hair"], hat=has["Wearing_Hat"],
        volume=uniform(0.06, 0.17), hairline=uniform(-0.68, -0.6) - 0.1 * (male & ~young),
        part=uniform(-0.25, 0.25), sweep=normal(0.1), strands=uniform(0, 6.28),
        arch=uniform(0, 1) ** 2 * 0.4, curl=uniform(-1, 1), flare=uniform(-0.02, 0.12),
        long=uniform(0, 1) < np.where(male, 0.1, 0.82), length=uniform(0.75, 1.5),
        fringe=uniform(-0.37, -0.31), fringe_arc=uniform(-0.12, 0.12),
        # things worn
        glasses=has["Eyeglasses"], lens_w=uniform(0.22, 0.26), lens_h=uniform(0.16, 0.22),
        lens_round=uniform(0.3, 1), rim=uniform(0.02, 0.035),
        tint=np.maximum(uniform(-2.2, 0.9), 0), hat_kind=rng.integers(3, size=n),
        pompom=uniform(0, 1) < 0.5,
    )  # fmt: skip

    # colours
    tone = np.where(has["Pale_Skin"], uniform(0, 0.06), 0.36 + 0.62 * uniform(0, 1) ** 1.5)
    t.skin = np.stack([np.interp(tone, _SKIN_AT, c) for c in _SKIN.T])
    t.skin = t.skin * (1 + np.stack([normal(0.015), normal(0.012), normal(0.025)]))
    t.blush = t.skin * np.array([[1.0], [0.46], [0.48]]) + np.array([[0.1], [0], [0]])
    hair, natural = choose(_OTHER), blend(np.concatenate([_HAIR["Black"], _HAIR["Brown"]]))
    hair = np.where(has["Bald"], natural, hair)
    for name, palette in _HAIR.items():
        hair = np.where(has[f"{name}_Hair"], blend(palette), hair)
    t.hair = hair
    t.beard = hair * np.where(has["Gray_Hair"], 0.92, np.array([[0.68], [0.6], [0.54]]))
    t.brow = 0.62 * hair * np.where(hair.mean(0) > 0.5, 0.9, 1.0) + 0.03
    t.iris, t.frame = blend(_IRIS), choose(_FRAMES)
    bare = t.skin * np.array([[0.86], [0.62], [0.6]])
    t.lips = np.where(has["Wearing_Lipstick"], choose(_LIPSTICK), bare)
    t.cloth, t.hat_colour = hsv((0.1, 0.75), (0.2, 0.9)), hsv((0.3, 0.85), (0.25, 0.9))
    t.bg_a, drift = hsv((0.05, 0.42), (0.3, 0.95)), hsv((0.05, 0.5), (0.2, 0.95))
    t.bg_b = t.bg_a + 0.6 * (drift - t.bg_a)
    for name, value in vars(t).items():
        setattr(t, name, np.asarray(value, np.float32)[..., None, None])
    return t


def _take(traits: SimpleNamespace, chosen: slice | Array) -> SimpleNamespace:
    """The traits of some of the portraits."""
    return SimpleNamespace(**{k: v[..., chosen, :, :] for k, v in vars(traits).items()})


# ---------------------------------------------------------------- shapes and paint


def _ellipse(
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


def _box(x: Array, y: Array, w: Array | float, h: Array | float, r: Array | float) -> Array:
    """A box of half-sides w and h with corners of radius r."""
    u, v = np.abs(x) - (w - r), np.abs(y) - (h - r)
    outside = np.sqrt(np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2)
    return outside + np.minimum(np.maximum(u, v), 0) - r


def _segment(x: Array, y: Array, ax: float, ay: float, bx: float, by: float) -> Array:
    """Distance to the segment from a to b."""
    dx, dy = bx - ax, by - ay
    along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clip(0, 1)
    return np.hypot(x - ax - along * dx, y - ay - along * dy)


def _union(a: Array, b: Array, k: float) -> Array:
    """Smooth union: the joint is rounded over a distance k."""
    h = np.maximum(k - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * (0.25 / k)


class _Canvas:
    """A block of portraits: pixels (3, n, S, S), face coordinates x, y (n, S, S) and traits."""

    def __init__(self, traits: SimpleNamespace, pixels: Array):
        size = pixels.shape[-1]
        self.t, self.pixels = traits, pixels
        self.at: tuple[slice | Array, slice, slice] = (slice(None), slice(None), slice(None))
        self.pixel = 2 * _REACH / size / traits.scale  # the side of a pixel in face units
        grid = _grid(size)
        u = (grid - traits.cx) / traits.scale
        v = (grid[:, None] - traits.cy) / traits.scale
        self.cos, self.sin = np.cos(traits.roll), np.sin(traits.roll)
        self.x = u * self.cos + v * self.sin
        self.y = v * self.cos - u * self.sin
        self.head, self.hair = _head_shape(self), _hair_shape(self)

    def part(
        self, x0: float, x1: float, y0: float, y1: float, who: Array | None = None
    ) -> tuple[_Canvas, SimpleNamespace]:
        """The whole canvas cut to a box in face coordinates and to some portraits; their traits.

        Most parts are small and some are rare: this is what makes drawing fast.
        """
        t, size = self.t, self.pixels.shape[-1]
        x, y = np.array([x0, x1, x0, x1]), np.array([y0, y0, y1, y1])
        corners = (
            t.cy + t.scale * (x * self.sin + y * self.cos),
            t.cx + t.scale * (x * self.cos - y * self.sin),
        )
        low, high = (
            [max(0, int((f(at) / _REACH + 1) * size / 2) + more) for at in corners]
            for f, more in ((np.min, 0), (np.max, 1))
        )
        rows, columns = map(slice, low, high)
        everyone: slice | Array = slice(None) if who is None else np.flatnonzero(who)
        part = copy.copy(self)
        part.at = (everyone, rows, columns)
        part.t, part.pixel = _take(t, everyone), self.pixel[everyone]
        part.x, part.y, part.head, part.hair = (
            field[part.at] for field in (self.x, self.y, self.head, self.hair)
        )
        return part, part.t

    def inside(self, distance: Array, blur: float = 0.0) -> Array:
        """How much of each pixel a shape covers; blur softens its edge (face units)."""
        cover = (0.5 - distance / (self.pixel + blur)).clip(0, 1)
        return cover * cover * (3 - 2 * cover) if blur else cover

    def paint(self, cover: Array, colour: Array | float) -> None:
        layer = self.pixels[:, *self.at]
        layer += cover * (colour - layer)
        self.pixels[:, *self.at] = layer

    def shade(self, light: Array) -> None:
        """Brighten (light > 0) or darken what is already there."""
        self.pixels[:, *self.at] *= 1 + light


def _grid(size: int) -> Array:
    """Pixel centres along one side, in face units."""
    return ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1) * np.float32(_REACH)


# ---------------------------------------------------------------- the portrait, back to front


def _portraits(t: SimpleNamespace, size: int) -> Array:
    """Draw a block of portraits: float32 (3, n, size, size), about [0, 1]."""
    canvas = _Canvas(t, _background(t, size))
    for draw in (
        _back_hair, _clothes, _neck, _ears, _face, _cheeks, _age, _nose, _eyes, _brows, _mouth,
        _beard, _front_hair, _bangs, _glasses, _hat,
    ):  # fmt: skip
        draw(canvas)
    return _lens(canvas.pixels, t)


def _background(t: SimpleNamespace, size: int) -> Array:
    """A wall, a sky, a corner: two colours that meet softly or sharply, and a glow."""
    x = _grid(size) / _REACH
    y = x[:, None]
    ramp = (0.5 + (x * np.cos(t.bg_angle) + y * np.sin(t.bg_angle)) * t.bg_sharp).clip(0, 1)
    glow = t.bg_glow * np.exp(-3 * ((x - t.bg_x) ** 2 + (y - t.bg_y) ** 2))
    pixels = ramp * (t.bg_b - t.bg_a)
    pixels += t.bg_a
    pixels += glow
    return pixels


def _head_shape(c: _Canvas) -> Array:
    """An egg: an ellipse that tapers to the chin, squared at the jaw."""
    t = c.t
    lower = np.maximum(c.y, 0)
    return _ellipse(c.x * (1 + t.jaw * lower * lower), c.y, t.width, 1.0, t.square * (c.y > 0))


def _hair_shape(c: _Canvas) -> Array:
    """The outline of all hair: a cap, and for long hair what falls below it."""
    t = c.t
    is_long, wavy = np.flatnonzero(t.long), np.flatnonzero(t.wavy)
    w = t.width + 0.02 + t.volume * (0.5 + 0.5 * t.long)
    lean = 0.25 * t.part * (1 - t.long) * (c.y + 0.2)
    cap = _ellipse(c.x + lean, c.y + 0.16, w, 0.88 + t.volume * 1.1)
    trim = c.y + 0.02 + 1.6 * np.maximum(np.abs(c.x) - t.width + 0.05, 0)  # shorter over the ears
    shape = np.maximum(cap, 0.7 * trim)
    if len(is_long):
        x, y, t = c.x[is_long], c.y[is_long], _take(c.t, is_long)
        bottom = y - t.length + 0.25 * t.curl * x * x
        half = t.length / 2 + 0.1
        fall = _box(x, bottom + half, w[is_long] + t.flare * y, half, 0.2)
        shape[is_long] = _union(cap[is_long], fall, 0.2)
    if len(wavy):
        x, y, phase = c.x[wavy], c.y[wavy], c.t.strands[wavy]
        shape[wavy] += 0.055 * np.sin(9 * x + phase) * np.sin(8 * y + 2 * phase) - 0.04
    return shape + 9 * c.t.bald


def _strands(c: _Canvas) -> Array:
    """Light and dark along the locks, and a sheen across the crown."""
    t = c.t
    bend = t.wavy * 1.6 * np.sin(7 * c.y + t.strands)
    locks = np.sin((17 + 5 * c.y) * (c.x - t.part) + bend + t.strands)
    sheen = np.exp(-30 * (np.sqrt(c.x**2 + (c.y + 0.1) ** 2) - 0.86) ** 2)
    return (0.07 + 0.07 * t.wavy) * locks + 0.17 * sheen + t.light * c.x - 0.04


def _back_hair(c: _Canvas) -> None:
    c.paint(c.inside(c.hair), c.t.hair * 0.72)


def _clothes(c: _Canvas) -> None:
    c, t = c.part(-2, 2, 0.95, 1.7)
    shoulders = _ellipse(c.x, c.y - 1.8, t.shoulders, 0.8)
    c.paint(c.inside(shoulders), t.cloth * (0.85 + 0.3 * t.light * c.x + 0.5 * (c.y - 1)))


def _neck(c: _Canvas) -> None:
    c, t = c.part(-0.7, 0.7, 0.6, 1.7)
    neckline = _ellipse(c.x, c.y - 1.02, t.neck + 0.07, t.collar)
    c.paint(c.inside(np.maximum(neckline - 0.04, 1.04 - c.y)), t.cloth * 0.6)  # the collar
    skin = np.minimum(_box(c.x, c.y - 0.8, t.neck, 0.4, 0.1), neckline)
    shadow = 0.42 * c.inside(_ellipse(c.x, c.y - 0.55, 0.62, 0.62), 0.2)
    c.paint(c.inside(skin), t.skin * (0.94 + t.light * c.x - shadow))


def _ears(c: _Canvas) -> None:
    c, t = c.part(-1, 1, -0.25, 0.4)
    x, y = np.abs(c.x) - t.width + 0.01, c.y - 0.06
    c.paint(c.inside(_ellipse(x, y, 0.1, 0.2)), t.skin * (0.9 + t.light * c.x))
    c.shade(-0.25 * c.inside(_ellipse(x - 0.015, y, 0.05, 0.12), 0.05))


def _face(c: _Canvas) -> None:
    """Skin, lit from one side and turning away at the rim."""
    c, t = c.part(-0.9, 0.9, -1.05, 1.05)
    rim = c.inside(c.head + 0.06, 0.34)
    form = 0.78 + 0.21 * rim + t.light * c.x * 1.3 - 0.05 * c.y
    form += 0.07 * np.exp(-5 * (c.x - 2 * t.light) ** 2 - 14 * (c.y + 0.62) ** 2)  # forehead
    c.paint(c.inside(c.head), t.skin * form)


def _cheeks(c: _Canvas) -> None:
    c, t = c.part(-0.8, 0.8, -0.15, 0.7)
    x, y = np.abs(c.x - t.yaw) - 0.43, c.y - 0.3
    blob = np.exp(-22 * x * x - 30 * y * y) * c.inside(c.head)
    c.paint(t.rosy * blob, t.blush)
    c.shade(0.06 * blob * (1 - t.rosy))


def _age(c: _Canvas) -> None:
    """Lines of the forehead, folds beside the mouth, bags under the eyes."""
    c, t = c.part(-0.65, 0.65, -0.6, 0.75, who=c.t.age > 0)
    x, y = np.abs(c.x - t.yaw), c.y
    fold = c.inside(_segment(x, y, 0.17, 0.34, 0.36, 0.62) - 0.015, 0.07)
    row = np.abs((y + 0.46 + 0.1 * x * x) % 0.11 - 0.055) - 0.012
    lines = c.inside(np.maximum(row, np.abs(y + 0.43) + x * 0.2 - 0.12), 0.02)
    ex, ey = (x - t.eye_gap) / t.eye_w, y - t.eye_y
    pouch = np.abs(ey - 0.16 + 0.08 * ex * ex) + 0.3 * np.maximum(np.abs(ex) - 1, 0)
    bag = c.inside(pouch - 0.012, 0.05)
    c.shade(-t.age * np.maximum(np.maximum(0.38 * fold, 0.26 * lines), 0.36 * bag))


def _nose(c: _Canvas) -> None:
    c, t = c.part(-0.35, 0.35, -0.2, 0.5)
    x, y = c.x - 1.35 * t.yaw, c.y - t.nose_y
    lit = np.copysign(1, t.light) * x
    bridge = np.exp(-((lit + 0.075) ** 2) * 260 - (y + 0.2) ** 2 * 16)
    ridge = np.exp(-((lit - 0.015) ** 2) * 400 - (y + 0.14) ** 2 * 22)
    under = c.inside(_ellipse(x, y - 0.045, t.nose_w, 0.035), 0.07)
    nostrils = c.inside(_ellipse(np.abs(x) - 0.55 * t.nose_w, y - 0.03, 0.032, 0.02), 0.02)
    c.shade(0.2 * ridge - 0.22 * bridge - 0.28 * under - 0.45 * nostrils)


def _eyes(c: _Canvas) -> None:
    c, t = c.part(-0.65, 0.65, -0.3, 0.2)
    x = c.x - t.yaw
    ex, ey = np.abs(x) - t.eye_gap, c.y - t.eye_y
    ey = ey + t.slant * ex
    bow = 1 - (ex / t.eye_w) ** 2
    upper, lower = ey + t.eye_h * bow, ey - t.eye_low * bow
    opening = np.maximum(-upper, lower)
    c.shade(-0.16 * c.inside(_ellipse(ex, ey + 0.03, t.eye_w + 0.03, 0.14), 0.12))
    c.paint(c.inside(opening), 0.95)
    ix, iy = ex - t.gaze_x * np.sign(x), ey - t.gaze_y + 0.012
    radius = np.sqrt(ix * ix + iy * iy)
    c.paint(c.inside(np.maximum(radius - 0.092, opening)), t.iris)
    c.paint(c.inside(np.maximum(radius - 0.044, opening)), 0.04)
    gx, gy = np.abs(x - 0.03) - t.eye_gap, iy + 0.035
    c.paint(0.9 * c.inside(np.sqrt(gx * gx + gy * gy) - 0.024), 1.0)
    c.shade(-0.35 * c.inside(opening) * c.inside(upper - 0.03, 0.04))  # the lid's shadow
    reach = np.abs(ex + 0.01) - t.eye_w - t.lash
    c.paint(c.inside(np.maximum(np.abs(upper + 0.3 * t.lash) - t.lash, reach)), t.skin * 0.12)


def _brows(c: _Canvas) -> None:
    c, t = c.part(-0.7, 0.7, -0.45, -0.05)
    along = (np.abs(c.x - t.yaw) - t.eye_gap - 0.01) / t.brow_w
    line = t.brow_y - t.brow_arch * (1 - along * along) + t.brow_tilt * along
    thick = t.brow_h * (1 - 0.35 * along)
    shape = np.maximum(np.abs(c.y - line) - thick, (np.abs(along) - 1) * t.brow_w)
    c.paint(0.92 * c.inside(shape, 0.015), t.brow)


def _mouth(c: _Canvas) -> None:
    c, t = c.part(-0.5, 0.5, 0.35, 0.98)
    x = (c.x - t.yaw) / t.mouth_w
    bow = 1 - x * x
    y = c.y - t.mouth_y - t.smile * (0.35 - x * x)
    cupid = 1 - 0.22 * np.exp(-30 * x * x)
    lips = np.maximum(-y - t.lip_up * bow * cupid, y - (t.gap + t.lip_low) * bow)
    hole = np.maximum(-y, y - t.gap * bow)
    c.shade(-0.16 * c.inside(_ellipse(x, y - t.gap - 0.13, 0.6, 0.04), 0.08))  # below the lip
    c.paint(c.inside(lips), t.lips)
    gloss = 0.16 * np.exp(-((y - t.gap - 0.04) ** 2) * 1500) + np.minimum(2 * y, 0)
    c.shade(c.inside(lips) * gloss)
    c.paint(c.inside(hole) * (t.gap > 0), np.float32(0.16) * t.lips + 0.03)
    teeth = np.maximum(hole, y - t.teeth * t.gap * bow)
    c.paint(c.inside(teeth + 0.008) * (t.gap > 0), 0.96)
    line = np.maximum(np.abs(y) - 0.014, (np.abs(x) - 1.04) * t.mouth_w)
    c.paint(0.8 * c.inside(line) * np.where(t.gap > 0, np.float32(0.5), 1), t.lips * 0.35)


def _beard(c: _Canvas) -> None:
    c, t = c.part(-0.9, 0.9, -0.1, 1.15, who=(c.t.mustache + c.t.goatee + c.t.sideburns) > 0)
    x = c.x - t.yaw
    along = np.abs(x) / (t.mouth_w + 0.05)
    middle = t.mouth_y - 0.125 - 0.6 * t.smile * (0.6 * along**2 - 0.2) + t.droop * along**2
    mustache = np.maximum(np.abs(c.y - middle) - 0.062 * (1.15 - along * along), 0.012 - np.abs(x))
    floor = t.mouth_y + t.gap + t.lip_low + 0.035
    goatee = np.maximum(_ellipse(x, c.y - 0.86, t.goatee_w, 0.25), floor - c.y)
    jaw = np.maximum(c.head - 0.025, -_ellipse(x, c.y - 0.1, t.width - 0.16, 0.8))
    # sideburns stop where a goatee would join them to a full beard
    sideburns = np.maximum(jaw, np.maximum(-c.y, 0.7 * t.goatee_w - np.abs(x)))
    for worn, shape in (
        (t.mustache, mustache), (t.goatee, goatee), (t.sideburns, sideburns),
    ):  # fmt: skip
        c.paint(0.94 * worn * c.inside(shape, 0.025), t.beard * (1 + t.light * c.x))


def _front_hair(c: _Canvas) -> None:
    """What frames the face: all hair but the opening that shows it."""
    c, t = c.part(-1.2, 1.2, -1.3, 1.7)
    x, centre = c.x - 0.6 * t.yaw, 0.35
    y = c.y - centre + t.sweep * x
    # two shifted ellipses meet in a pointed arch: hair parted in the middle or at a side
    shift = t.arch * t.long
    x = np.abs(x - t.part * t.arch) + shift
    width = t.width - 0.06 - 0.05 * t.hat + shift
    opening = _ellipse(x, y, width, centre - t.hairline, 0.85 * (1 - t.long))
    _comb(c, np.maximum(c.hair, -opening))


def _bangs(c: _Canvas) -> None:
    c, t = c.part(-0.9, 0.9, -1.3, 0, who=c.t.bangs > 0)
    edge = t.fringe + t.fringe_arc * c.x * c.x + 0.03 * np.abs(np.sin(13 * c.x + t.strands))
    _comb(c, np.maximum(np.maximum(c.hair, c.y - edge), np.abs(c.x) - t.width))


def _comb(c: _Canvas, lock: Array) -> None:
    """Hair in front of the face, and the shadow it casts there."""
    cover = c.inside(lock)
    c.shade((cover - c.inside(lock - 0.05, 0.1)).clip(-1, 0) * (0.24 * c.inside(c.head)))
    c.paint(cover, c.t.hair * (1 + _strands(c)))


def _glasses(c: _Canvas) -> None:
    c, t = c.part(-0.85, 0.85, -0.35, 0.35, who=c.t.glasses > 0)
    x, y = c.x - t.yaw, c.y - t.eye_y - 0.01
    ax = np.abs(x)
    lens = _box(ax - t.eye_gap - 0.01, y, t.lens_w, t.lens_h, t.lens_round * t.lens_h)
    c.paint(c.inside(lens) * (0.06 + t.tint), t.frame * 0.3 + np.float32(0.6) * (t.tint == 0))
    rim = np.abs(lens) - t.rim
    bridge = np.maximum(np.abs(y + 0.05 - 0.4 * ax * ax) - t.rim, ax - 0.1)
    span = np.maximum(t.eye_gap + t.lens_w - ax, np.abs(c.x) - t.width)
    arm = np.maximum(np.abs(y + 0.05) - t.rim, span)
    c.paint(c.inside(np.minimum(np.minimum(rim, bridge), arm)), t.frame)


def _hat(c: _Canvas) -> None:
    """A beanie, a cap or a hat with a brim, low enough to sit on the head."""
    for kind, draw in enumerate((_beanie, _cap, _brimmed)):
        who = (c.t.hat > 0) & (c.t.hat_kind == kind)
        if who.any():
            part, _ = c.part(-1.4, 1.4, -1.7, -0.1, who=who)
            part.shade(-0.3 * part.inside(part.y + 0.4, 0.2) * part.inside(part.head))
            draw(part)


def _beanie(c: _Canvas) -> None:
    t = c.t
    w = t.width + t.volume
    y = c.y + 0.12 * c.x * c.x
    dome = np.maximum(_ellipse(c.x, c.y + 0.45, w + 0.03, 0.8), y + 0.45)
    pompom = np.hypot(c.x, c.y + 1.28) - 0.2 + 9 * (1 - t.pompom)
    c.paint(c.inside(pompom), t.hat_colour * 0.6 + 0.4)
    knit = 1 + 0.08 * np.sin(38 * c.x) + t.light * c.x - 0.12 * c.inside(dome + 0.05, 0.3) + 0.1
    c.paint(c.inside(dome), t.hat_colour * knit)
    c.paint(c.inside(_box(c.x, y + 0.48, w + 0.05, 0.13, 0.08)), t.hat_colour * 0.78 * knit)


def _cap(c: _Canvas) -> None:
    t = c.t
    w = t.width + t.volume
    dome = np.maximum(_ellipse(c.x, c.y + 0.4, w + 0.02, 0.76), c.y + 0.4 + 0.15 * c.x * c.x)
    c.paint(c.inside(dome), t.hat_colour * (1 + t.light * c.x - 0.25 * (c.y + 0.7)))
    c.shade(-0.25 * c.inside(np.abs(c.x - 1.6 * t.yaw) - 0.008, 0.02) * c.inside(dome))
    visor = _ellipse(c.x - 2 * t.yaw, c.y + 0.44, 0.66, 0.16)
    c.paint(c.inside(visor), t.hat_colour * (0.72 + 0.6 * (-0.44 - c.y)))


def _brimmed(c: _Canvas) -> None:
    t = c.t
    y = c.y + 0.1 * c.x * c.x
    crown = _box(c.x, c.y + 0.92, t.width + 0.02 - 0.1 * (-0.5 - c.y), 0.46, 0.22)
    form = 1 + 1.3 * t.light * c.x - 0.2 * np.abs(c.x)
    c.paint(c.inside(crown), t.hat_colour * form)
    c.paint(c.inside(np.maximum(crown, np.abs(y + 0.6) - 0.09)), t.cloth * 0.6)
    c.paint(c.inside(_ellipse(c.x, y + 0.5, t.width + 0.42, 0.12)), t.hat_colour * form * 0.9)


def _lens(pixels: Array, t: SimpleNamespace) -> Array:
    """What a camera adds: a slight blur, vignette and exposure."""
    soft = 0.25 * t.blur * min(1, pixels.shape[-1] / 64)
    for axis in (-1, -2):
        p = pixels.swapaxes(axis, -1)
        p[..., 1:-1] += soft * (p[..., 2:] + p[..., :-2] - 2 * p[..., 1:-1])
    x = _grid(pixels.shape[-1]) / _REACH
    pixels *= t.exposure * (1 - t.vignette * (x * x + (x * x)[:, None]))
    return pixels
