"""Hair: behind the head, in front of the face, and on it."""

import numpy as np

from facegan.data.sources.faces.canvas import Canvas, ellipse
from facegan.data.sources.faces.people import Array


def back(c: Canvas) -> None:
    c.paint(c.inside(c.hair), c.t.hair * 0.72)


def front(c: Canvas) -> None:
    """Hair that frames the face: all of it except an opening for the face."""
    c, t = c.part(-1.2, 1.2, -1.3, 1.7)
    x, centre = c.x - 0.6 * t.yaw, 0.35
    y = c.y - centre + t.sweep * x
    # two shifted ellipses meet in a pointed arch: hair parted in the middle or at a side
    shift = t.arch * t.long
    x = np.abs(x - t.part * t.arch) + shift
    width = t.width - 0.06 - 0.05 * t.hat + shift
    opening = ellipse(x, y, width, centre - t.hairline, 0.85 * (1 - t.long))
    _comb(c, np.maximum(c.hair, -opening))


def bangs(c: Canvas) -> None:
    c, t = c.part(-0.9, 0.9, -1.3, 0, who=c.t.bangs > 0)
    edge = t.fringe + t.fringe_arc * c.x * c.x + 0.03 * np.abs(np.sin(13 * c.x + t.strands))
    _comb(c, np.maximum(np.maximum(c.hair, c.y - edge), np.abs(c.x) - t.width))


def _comb(c: Canvas, lock: Array) -> None:
    """Hair in front of the face, and the shadow it casts there."""
    cover = c.inside(lock)
    c.shade((cover - c.inside(lock - 0.05, 0.1)).clip(-1, 0) * (0.24 * c.inside(c.head)))
    c.paint(cover, c.t.hair * (1 + _strands(c)))


def beard(c: Canvas) -> None:
    c, t = c.part(-0.9, 0.9, -0.1, 1.15, who=(c.t.mustache + c.t.goatee + c.t.sideburns) > 0)
    x = c.x - t.yaw
    along = np.abs(x) / (t.mouth_w + 0.05)
    middle = t.mouth_y - 0.125 - 0.6 * t.smile * (0.6 * along**2 - 0.2) + t.droop * along**2
    mustache = np.maximum(np.abs(c.y - middle) - 0.062 * (1.15 - along * along), 0.012 - np.abs(x))
    floor = t.mouth_y + t.gap + t.lip_low + 0.035
    goatee = np.maximum(ellipse(x, c.y - 0.86, t.goatee_w, 0.25), floor - c.y)
    jaw = np.maximum(c.head - 0.025, -ellipse(x, c.y - 0.1, t.width - 0.16, 0.8))
    # sideburns stop where a goatee would join them to a full beard
    sideburns = np.maximum(jaw, np.maximum(-c.y, 0.7 * t.goatee_w - np.abs(x)))
    for worn, shape in (
        (t.mustache, mustache), (t.goatee, goatee), (t.sideburns, sideburns),
    ):  # fmt: skip
        c.paint(0.94 * worn * c.inside(shape, 0.025), t.beard * (1 + t.light * c.x))


def _strands(c: Canvas) -> Array:
    """Light and dark along the locks, and a sheen across the crown."""
    t = c.t
    bend = t.wavy * 1.6 * np.sin(7 * c.y + t.strands)
    locks = np.sin((17 + 5 * c.y) * (c.x - t.part) + bend + t.strands)
    sheen = np.exp(-30 * (np.sqrt(c.x**2 + (c.y + 0.1) ** 2) - 0.86) ** 2)
    return (0.07 + 0.07 * t.wavy) * locks + 0.17 * sheen + t.light * c.x - 0.04
