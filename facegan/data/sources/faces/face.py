"""The face itself: skin and its lines, ears, nose, eyes, brows and mouth."""

import numpy as np

from facegan.data.sources.faces.canvas import Canvas, box, ellipse, segment


def neck(c: Canvas) -> None:
    c, t = c.part(-0.7, 0.7, 0.6, 1.7)
    neckline = ellipse(c.x, c.y - 1.02, t.neck + 0.07, t.collar)
    c.paint(c.inside(np.maximum(neckline - 0.04, 1.04 - c.y)), t.cloth * 0.6)  # the collar
    skin = np.minimum(box(c.x, c.y - 0.8, t.neck, 0.4, 0.1), neckline)
    shadow = 0.42 * c.inside(ellipse(c.x, c.y - 0.55, 0.62, 0.62), 0.2)
    c.paint(c.inside(skin), t.skin * (0.94 + t.light * c.x - shadow))


def ears(c: Canvas) -> None:
    c, t = c.part(-1, 1, -0.25, 0.4)
    x, y = np.abs(c.x) - t.width + 0.01, c.y - 0.06
    c.paint(c.inside(ellipse(x, y, 0.1, 0.2)), t.skin * (0.9 + t.light * c.x))
    c.shade(-0.25 * c.inside(ellipse(x - 0.015, y, 0.05, 0.12), 0.05))


def skin(c: Canvas) -> None:
    """Skin, lit from one side and turning away at the rim."""
    c, t = c.part(-0.9, 0.9, -1.05, 1.05)
    rim = c.inside(c.head + 0.06, 0.34)
    form = 0.78 + 0.21 * rim + t.light * c.x * 1.3 - 0.05 * c.y
    form += 0.07 * np.exp(-5 * (c.x - 2 * t.light) ** 2 - 14 * (c.y + 0.62) ** 2)  # forehead
    c.paint(c.inside(c.head), t.skin * form)


def cheeks(c: Canvas) -> None:
    c, t = c.part(-0.8, 0.8, -0.15, 0.7)
    x, y = np.abs(c.x - t.yaw) - 0.43, c.y - 0.3
    blob = np.exp(-22 * x * x - 30 * y * y) * c.inside(c.head)
    c.paint(t.rosy * blob, t.blush)
    c.shade(0.06 * blob * (1 - t.rosy))


def age(c: Canvas) -> None:
    """Lines of the forehead, folds beside the mouth, bags under the eyes."""
    c, t = c.part(-0.65, 0.65, -0.6, 0.75, who=c.t.age > 0)
    x, y = np.abs(c.x - t.yaw), c.y
    fold = c.inside(segment(x, y, 0.17, 0.34, 0.36, 0.62) - 0.015, 0.07)
    row = np.abs((y + 0.46 + 0.1 * x * x) % 0.11 - 0.055) - 0.012
    lines = c.inside(np.maximum(row, np.abs(y + 0.43) + x * 0.2 - 0.12), 0.02)
    ex, ey = (x - t.eye_gap) / t.eye_w, y - t.eye_y
    pouch = np.abs(ey - 0.16 + 0.08 * ex * ex) + 0.3 * np.maximum(np.abs(ex) - 1, 0)
    bag = c.inside(pouch - 0.012, 0.05)
    c.shade(-t.age * np.maximum(np.maximum(0.38 * fold, 0.26 * lines), 0.36 * bag))


def nose(c: Canvas) -> None:
    c, t = c.part(-0.35, 0.35, -0.2, 0.5)
    x, y = c.x - 1.35 * t.yaw, c.y - t.nose_y
    lit = np.copysign(1, t.light) * x
    bridge = np.exp(-((lit + 0.075) ** 2) * 260 - (y + 0.2) ** 2 * 16)
    ridge = np.exp(-((lit - 0.015) ** 2) * 400 - (y + 0.14) ** 2 * 22)
    under = c.inside(ellipse(x, y - 0.045, t.nose_w, 0.035), 0.07)
    nostrils = c.inside(ellipse(np.abs(x) - 0.55 * t.nose_w, y - 0.03, 0.032, 0.02), 0.02)
    c.shade(0.2 * ridge - 0.22 * bridge - 0.28 * under - 0.45 * nostrils)


def eyes(c: Canvas) -> None:
    c, t = c.part(-0.65, 0.65, -0.3, 0.2)
    x = c.x - t.yaw
    ex, ey = np.abs(x) - t.eye_gap, c.y - t.eye_y
    ey = ey + t.slant * ex
    bow = 1 - (ex / t.eye_w) ** 2
    upper, lower = ey + t.eye_h * bow, ey - t.eye_low * bow
    opening = np.maximum(-upper, lower)
    c.shade(-0.16 * c.inside(ellipse(ex, ey + 0.03, t.eye_w + 0.03, 0.14), 0.12))
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


def brows(c: Canvas) -> None:
    c, t = c.part(-0.7, 0.7, -0.45, -0.05)
    along = (np.abs(c.x - t.yaw) - t.eye_gap - 0.01) / t.brow_w
    line = t.brow_y - t.brow_arch * (1 - along * along) + t.brow_tilt * along
    thick = t.brow_h * (1 - 0.35 * along)
    shape = np.maximum(np.abs(c.y - line) - thick, (np.abs(along) - 1) * t.brow_w)
    c.paint(0.92 * c.inside(shape, 0.015), t.brow)


def mouth(c: Canvas) -> None:
    c, t = c.part(-0.5, 0.5, 0.35, 0.98)
    x = (c.x - t.yaw) / t.mouth_w
    bow = 1 - x * x
    y = c.y - t.mouth_y - t.smile * (0.35 - x * x)
    cupid = 1 - 0.22 * np.exp(-30 * x * x)
    lips = np.maximum(-y - t.lip_up * bow * cupid, y - (t.gap + t.lip_low) * bow)
    hole = np.maximum(-y, y - t.gap * bow)
    c.shade(-0.16 * c.inside(ellipse(x, y - t.gap - 0.13, 0.6, 0.04), 0.08))  # below the lip
    c.paint(c.inside(lips), t.lips)
    gloss = 0.16 * np.exp(-((y - t.gap - 0.04) ** 2) * 1500) + np.minimum(2 * y, 0)
    c.shade(c.inside(lips) * gloss)
    c.paint(c.inside(hole) * (t.gap > 0), np.float32(0.16) * t.lips + 0.03)
    teeth = np.maximum(hole, y - t.teeth * t.gap * bow)
    c.paint(c.inside(teeth + 0.008) * (t.gap > 0), 0.96)
    line = np.maximum(np.abs(y) - 0.014, (np.abs(x) - 1.04) * t.mouth_w)
    c.paint(0.8 * c.inside(line) * np.where(t.gap > 0, np.float32(0.5), 1), t.lips * 0.35)
