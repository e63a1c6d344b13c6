"""The attributes of each drawn face, and the traits that follow from them."""

from types import SimpleNamespace

import numpy as np

Array = np.ndarray

ATTRIBUTES: tuple[str, ...] = (
    "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses",
    "Goatee", "Gray_Hair", "Male", "Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin",
    "Rosy_Cheeks", "Sideburns", "Smiling", "Wavy_Hair", "Wearing_Hat", "Wearing_Lipstick", "Young",
)  # fmt: skip


def sample_attributes(rng: np.random.Generator, n: int) -> Array:
    """Draw n rows of plausible attributes, uint8 (n, len(ATTRIBUTES)), 0 or 1."""

    def chance(p: Array | float) -> Array:
        return rng.random(n) < p

    male, young = chance(0.46), chance(0.72)
    bald = male & chance(np.where(young, 0.1, 0.22))
    hat = ~bald & chance(0.12)
    smiling = chance(0.48)
    # at most one hair colour; the others are red or dyed, for which CelebA has no attribute
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


def sample_traits(attributes: Array, rng: np.random.Generator) -> SimpleNamespace:
    """Traits of each portrait, as arrays (n, 1, 1) or colours (3, n, 1, 1)."""
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


def take(traits: SimpleNamespace, chosen: slice | Array) -> SimpleNamespace:
    """The traits of a selection of the portraits."""
    return SimpleNamespace(**{k: v[..., chosen, :, :] for k, v in vars(traits).items()})
