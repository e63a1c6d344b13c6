"""The renderer is the ground truth of other tests: here its pixels are held to its labels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import facegan
from facegan.data.sources.faces.drawing import VERSION, draw_faces
from facegan.data.sources.faces.people import ATTRIBUTES, sample_attributes

HAIR_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
FACIAL_HAIR = ("Goatee", "Mustache", "Sideburns")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def people(n: int, seed: int = 0, **fixed: int) -> np.ndarray:
    """n sampled rows that agree with `fixed`, e.g. Male=1."""
    rows = sample_attributes(rng(seed), 4000)
    for name, value in fixed.items():
        rows = rows[rows[:, ATTRIBUTES.index(name)] == value]
    assert len(rows) >= n
    return rows[:n]


def flipped(rows: np.ndarray, *names: str) -> np.ndarray:
    rows = rows.copy()
    for name in names:
        rows[:, ATTRIBUTES.index(name)] ^= 1
    return rows


def pair(rows: np.ndarray, *names: str, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """The same people, pixel for pixel, as they are and with `names` flipped."""
    images = draw_faces(rows, size, rng(1)), draw_faces(flipped(rows, *names), size, rng(1))
    return images[0].astype(np.float32), images[1].astype(np.float32)


def band(images: np.ndarray, top: float, bottom: float, half_width: float = 0.5) -> np.ndarray:
    """The rows from top to bottom and the middle columns, as shares of the picture."""
    size = images.shape[-1]
    left, right = round((0.5 - half_width) * size), round((0.5 + half_width) * size)
    return images[..., round(top * size) : round(bottom * size), left:right]


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    rows = sample_attributes(rng(), 20_000)
    assert rows.dtype == np.uint8
    assert set(np.unique(rows)) == {0, 1}
    return {name: rows[:, i].astype(bool) for i, name in enumerate(ATTRIBUTES)}


def test_attributes_depend_on_each_other_as_on_people(table: dict[str, np.ndarray]) -> None:
    colours = sum(table[name].astype(int) for name in HAIR_COLOURS)
    facial_hair = np.any([table[name] for name in FACIAL_HAIR], axis=0)
    assert colours.max() == 1
    assert not (table["Bald"] & (table["Bangs"] | table["Wearing_Hat"] | (colours > 0))).any()
    assert not (facial_hair & ~table["Male"]).any()
    assert not (table["Bald"] & ~table["Male"]).any()
    assert np.array_equal(table["No_Beard"], ~facial_hair)
    assert table["Male"][table["Wearing_Lipstick"]].mean() < 0.05
    assert table["Young"][table["Gray_Hair"]].mean() < 0.2


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_is_common_enough_to_learn(table: dict[str, np.ndarray], name: str) -> None:
    assert 0.04 < table[name].mean() < 0.9


@pytest.mark.parametrize("size", [16, 28, 32, 64, 128])
def test_any_size_is_uint8_and_seeded(size: int) -> None:
    rows = people(5)
    images = draw_faces(rows, size, rng(7))
    assert images.shape == (5, 3, size, size)
    assert images.dtype == np.uint8
    assert np.array_equal(images, draw_faces(rows, size, rng(7)))
    assert np.abs(images.astype(int) - draw_faces(rows, size, rng(8))).mean() > 10
    assert images.std(axis=(1, 2, 3)).min() > 10


def test_another_size_shows_the_same_people() -> None:
    rows = people(40)
    small, large = (draw_faces(rows, size, rng(3)).astype(np.float32) for size in (32, 64))
    halved = large.reshape(40, 3, 32, 2, 32, 2).mean((3, 5))
    same = np.abs(halved - small).mean()
    assert same < 6
    assert same < 0.15 * np.abs(halved - small[::-1]).mean()


def test_pixels_of_this_version_have_not_changed() -> None:
    """Whoever changes what is drawn changes drawing.VERSION and these numbers.

    Sums over pixels with random signs: other processors may round a pixel the other way.
    """
    rng = np.random.default_rng(5)
    images = draw_faces(sample_attributes(rng, 64), 32, rng)
    signs = np.random.default_rng(0).choice([-1, 1], (4, images.size))
    sums = signs @ images.reshape(-1).astype(np.int64)
    assert VERSION.startswith("24286abe")
    assert sums == pytest.approx([-23929, -47631, -8775, 90923], abs=40)


def test_blocks_leave_no_seam_and_none_is_fine() -> None:
    rows = np.repeat(people(1), 300, axis=0)  # several blocks of the same labels
    images = draw_faces(rows, 32, rng())
    assert len(np.unique(images.reshape(300, -1), axis=0)) == 300
    assert draw_faces(rows[:0], 32, rng()).shape == (0, 3, 32, 32)


def test_a_table_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="attributes must be"):
        draw_faces(np.zeros((2, 3), np.uint8), 32, rng())


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("size", [32, 64])
def test_flipping_an_attribute_shows(name: str, size: int) -> None:
    if name == "No_Beard":  # a summary of the three kinds of facial hair, which are drawn
        on, off = pair(people(24, Male=1, No_Beard=1), "Goatee", "Mustache", size=size)
    else:
        male = {"Male": 1} if name in (*FACIAL_HAIR, "Bald") else {}
        rows = people(24, Bald=0, Wearing_Hat=0, **male)
        if name in HAIR_COLOURS:
            rows[:, [ATTRIBUTES.index(other) for other in HAIR_COLOURS]] = 0
        on, off = pair(rows, name, size=size)
    change = np.abs(on - off)
    assert (change.max(axis=(1, 2, 3)) > 20).mean() > 0.9  # somewhere in nearly every picture
    assert change.mean() > 0.2


def test_an_open_mouth_changes_only_the_mouth() -> None:
    on, off = pair(people(40, Smiling=0, Mustache=0), "Mouth_Slightly_Open", size=64)
    change = np.abs(on - off).mean(axis=(0, 1))
    assert change[42:56, 22:42].mean() > 4
    assert change[:34].max() == 0


@pytest.mark.parametrize("name", ["Eyeglasses", "Bushy_Eyebrows"])
def test_glasses_and_brows_change_only_the_region_of_the_eyes(name: str) -> None:
    on, off = pair(people(40, Wearing_Hat=0), name, size=64)
    change = np.abs(on - off).mean(axis=(0, 1))
    assert change[22:42].mean() > 1
    assert change[48:].max() == 0
    assert change[:14].max() == 0


def test_each_hair_colour_differs_from_the_others() -> None:
    bare = people(60, Bald=0, Wearing_Hat=0)
    bare[:, [ATTRIBUTES.index(name) for name in HAIR_COLOURS]] = 0
    top = {
        name: band(draw_faces(flipped(bare, name), 64, rng(1)), 0.13, 0.2, 0.15).mean((2, 3))
        for name in HAIR_COLOURS
    }
    light = {name: colour.mean(1) for name, colour in top.items()}
    warmth = {name: colour[:, 0] - colour[:, 2] for name, colour in top.items()}
    assert (light["Black_Hair"] < light["Brown_Hair"]).mean() > 0.97
    assert (light["Brown_Hair"] < light["Blond_Hair"]).mean() > 0.97
    assert (warmth["Gray_Hair"] < warmth["Brown_Hair"]).mean() > 0.97
    assert (warmth["Gray_Hair"] < warmth["Blond_Hair"] - 30).mean() > 0.97


def test_pale_skin_is_the_pale_end() -> None:
    rows = people(200, Eyeglasses=0, Rosy_Cheeks=0, Sideburns=0, Young=1)
    i = ATTRIBUTES.index("Pale_Skin")
    cheeks = band(draw_faces(rows, 64, rng()), 0.55, 0.62, 0.15).mean((1, 2, 3))
    pale = rows[:, i] == 1
    threshold = (cheeks[pale].mean() + cheeks[~pale].max()) / 2
    assert cheeks[pale].mean() > cheeks[~pale].mean() + 40
    assert ((cheeks > threshold) == pale).mean() > 0.93


def test_edges_are_anti_aliased() -> None:
    """From a light wall to black hair: with hard edges no pixel would be half of each."""
    rows = people(80, Black_Hair=1, Wearing_Hat=0, Wavy_Hair=0)
    line = draw_faces(rows, 128, rng()).astype(np.float32).mean(1)[:, 30]
    wall, hair = line[:, 2:8].mean(1, keepdims=True), line[:, 60:68].mean(1, keepdims=True)
    clear = ((wall > 150) & (hair < 70))[:, 0]
    assert clear.sum() > 10
    share = ((line - hair) / (wall - hair))[clear, :64]
    mixed = ((share > 0.2) & (share < 0.8)).sum(1)
    assert (mixed > 0).mean() > 0.5
    assert np.median(mixed) <= 4  # and yet sharp


def test_importing_is_light() -> None:
    """Every worker process pays for it."""
    module = "facegan.data.sources.faces.drawing"
    code = f"import sys, {module}; assert not {{'torch', 'PIL'}} & set(sys.modules)"
    root = Path(facegan.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
