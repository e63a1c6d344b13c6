"""Clothes, glasses and hats."""

import numpy as np

from facegan.data.sources.faces.canvas import Canvas, box, ellipse


def clothes(c: Canvas) -> None:
    c, t = c.part(-2, 2, 0.95, 1.7)
    shoulders = ellipse(c.x, c.y - 1.8, t.shoulders, 0.8)
    c.paint(c.inside(shoulders), t.cloth * (0.85 + 0.3 * t.light * c.x + 0.5 * (c.y - 1)))


def glasses(c: Canvas) -> None:
    c, t = c.part(-0.85, 0.85, -0.35, 0.35, who=c.t.glasses > 0)
    x, y = c.x - t.yaw, c.y - t.eye_y - 0.01
    ax = np.abs(x)
    lens = box(ax - t.eye_gap - 0.01, y, t.lens_w, t.lens_h, t.lens_round * t.lens_h)
    c.paint(c.inside(lens) * (0.06 + t.tint), t.frame * 0.3 + np.float32(0.6) * (t.tint == 0))
    rim = np.abs(lens) - t.rim
    bridge = np.maximum(np.abs(y + 0.05 - 0.4 * ax * ax) - t.rim, ax - 0.1)
    span = np.maximum(t.eye_gap + t.lens_w - ax, np.abs(c.x) - t.width)
    arm = np.maximum(np.abs(y + 0.05) - t.rim, span)
    c.paint(c.inside(np.minimum(np.minimum(rim, bridge), arm)), t.frame)


def hat(c: Canvas) -> None:
    """A beanie, a cap or a hat with a brim, low enough to sit on the head."""
    for kind, draw in enumerate((_beanie, _cap, _brimmed)):
        who = (c.t.hat > 0) & (c.t.hat_kind == kind)
        if who.any():
            part, _ = c.part(-1.4, 1.4, -1.7, -0.1, who=who)
            part.shade(-0.3 * part.inside(part.y + 0.4, 0.2) * part.inside(part.head))
            draw(part)


def _beanie(c: Canvas) -> None:
    t = c.t
    w = t.width + t.volume
    y = c.y + 0.12 * c.x * c.x
    dome = np.maximum(ellipse(c.x, c.y + 0.45, w + 0.03, 0.8), y + 0.45)
    pompom = np.hypot(c.x, c.y + 1.28) - 0.2 + 9 * (1 - t.pompom)
    c.paint(c.inside(pompom), t.hat_colour * 0.6 + 0.4)
    knit = 1 + 0.08 * np.sin(38 * c.x) + t.light * c.x - 0.12 * c.inside(dome + 0.05, 0.3) + 0.1
    c.paint(c.inside(dome), t.hat_colour * knit)
    c.paint(c.inside(box(c.x, y + 0.48, w + 0.05, 0.13, 0.08)), t.hat_colour * 0.78 * knit)


def _cap(c: Canvas) -> None:
    t = c.t
    w = t.width + t.volume
    dome = np.maximum(ellipse(c.x, c.y + 0.4, w + 0.02, 0.76), c.y + 0.4 + 0.15 * c.x * c.x)
    c.paint(c.inside(dome), t.hat_colour * (1 + t.light * c.x - 0.25 * (c.y + 0.7)))
    c.shade(-0.25 * c.inside(np.abs(c.x - 1.6 * t.yaw) - 0.008, 0.02) * c.inside(dome))
    visor = ellipse(c.x - 2 * t.yaw, c.y + 0.44, 0.66, 0.16)
    c.paint(c.inside(visor), t.hat_colour * (0.72 + 0.6 * (-0.44 - c.y)))


def _brimmed(c: Canvas) -> None:
    t = c.t
    y = c.y + 0.1 * c.x * c.x
    crown = box(c.x, c.y + 0.92, t.width + 0.02 - 0.1 * (-0.5 - c.y), 0.46, 0.22)
    form = 1 + 1.3 * t.light * c.x - 0.2 * np.abs(c.x)
    c.paint(c.inside(crown), t.hat_colour * form)
    c.paint(c.inside(np.maximum(crown, np.abs(y + 0.6) - 0.09)), t.cloth * 0.6)
    c.paint(c.inside(ellipse(c.x, y + 0.5, t.width + 0.42, 0.12)), t.hat_colour * form * 0.9)
