"""Which files are pictures: everything that Pillow decodes, and nothing that systems add."""

import errno
import logging
import os
from pathlib import Path

import pytest
from PIL import Image

from facegan import train
from facegan.data.sources import listing
from facegan.data.sources.listing import any_picture, endings, list_pictures
from facegan.errors import InputError
from tests.conftest import TINY
from tests.data.fakes import encoded, smooth_picture

PNG = encoded(smooth_picture(0, (20, 20)), "PNG")


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)


def listed(root: Path) -> list[str]:
    return [picture.name for picture in list_pictures(root)[0]]


def notes(root: Path) -> str:
    return "; ".join(list_pictures(root)[1].notes())


WRITTEN = sorted(
    ending
    for ending, kind in Image.registered_extensions().items()
    if ending in endings() and kind in Image.SAVE
)


@pytest.mark.parametrize("ending", WRITTEN)
def test_every_ending_of_a_format_that_pillow_writes_and_reads_is_a_picture(tmp_path, ending):
    """The file's bytes do not matter to the listing; decoding is tested with the readers."""
    make(tmp_path, f"a{ending}", f"B{ending.upper()}")
    assert len(listed(tmp_path)) == 2
    assert notes(tmp_path) == ""


def test_what_people_have_is_among_the_endings():
    usual = ".jpg .jpeg .jfif .jpe .png .webp .bmp .gif .tif .tiff .pgm .ppm .pbm .tga .jp2 .mpo"
    assert set(usual.split()) <= endings()
    assert not {".pdf", ".mpg", ".h5", ".eps", ".txt"} & endings()


def test_what_is_left_out_is_counted_by_its_ending(tmp_path):
    make(tmp_path, "a.png", "b.heic", "c.HEIC", "sub/d.heic", "x.json", "README", ".hidden.png")
    make(tmp_path, "Thumbs.db", "sub/desktop.ini", ".DS_Store", "._a.png")  # not worth a word
    assert listed(tmp_path) == ["a.png"]
    assert notes(tmp_path) == (
        "left out files that are no pictures by their names: "
        "3 .heic, 1 hidden .png, 1 without an ending, 1 .json"
    )


@pytest.mark.parametrize(
    "folder",
    [
        "@eaDir", "$RECYCLE.BIN", "$Recycle.Bin", "#recycle", "@Recycle", "lost+found", "RECYCLER",
        ".thumbnails", ".Trash-1000", ".@__thumb", "__MACOSX", "System Volume Information",
        "FOUND.000", "Network Trash Folder", ".ipynb_checkpoints", "LOST.DIR", "@tmp",
    ],
)  # fmt: skip
def test_folders_of_systems_are_not_entered(tmp_path, folder):
    make(tmp_path, "a.png", f"{folder}/a.png", f"cats/{folder}/deep/b.png", "cats/b.png")
    assert listed(tmp_path) == ["a.png", "cats/b.png"]
    for skipped in (f"{folder}/", f"cats/{folder}/"):
        assert f" {skipped}" in notes(tmp_path)
    assert listed(tmp_path / folder) == ["a.png"]  # unless root is set to one


def test_folders_with_odd_names_are_folders(tmp_path):
    names = ["#art/a.png", "$money/b.png", "@somebody/c.png", "lost/d.png", "recycling/e.png"]
    make(tmp_path, *names)
    assert listed(tmp_path) == names


@pytest.mark.parametrize(
    "files",
    [
        ["run/.hydra/config.yaml", "run/samples/epoch_001.png"],
        ["runs/folder/x/hparams.yaml", "runs/folder/x/checkpoints/a.ckpt", "runs/folder/x/a.png"],
        ["sweep/leaderboard.csv", "sweep/leaderboard.png", "sweep/0/a.png"],
        ["faces/grid.png", "faces/000000.png", "faces/000001.png"],
        ["store/images.npy", "store/meta.json", "store/vectors/a.png"],
        ["out/evaluation.json", "out/nearest.png"],
    ],
)
def test_folders_that_facegan_made_are_not_entered(tmp_path, files):
    make(tmp_path, "cats/a.png", *files)
    assert listed(tmp_path) == ["cats/a.png"]
    assert "since facegan made them" in notes(tmp_path)


def test_what_a_run_leaves_in_the_folder_of_pictures_is_not_trained_on(tmp_path, run):
    for number in range(20):
        path = tmp_path / "pictures" / "cats" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth_picture(number, (20, 20)).save(path)
    before = listed(tmp_path / "pictures")
    root = tmp_path / "pictures"
    tiny = [key for key in TINY if not key.startswith("dataset.n=")]
    keys = ["dataset=folder", f"dataset.root={root}", f"data_dir={root}/data"]
    status, output = run(train, *tiny, *keys, f"hydra.run.dir={root}/runs/one")
    assert status == 0, output
    assert list((root / "runs").rglob("*.png"))
    assert listed(root) == before


def test_pictures_of_a_sampling_are_read_where_root_names_them(tmp_path):
    make(tmp_path, "grid.png", "000000.png", "000001.png")
    assert listed(tmp_path) == ["000000.png", "000001.png"]


class Refusing:
    """``os.scandir`` that raises for some folders."""

    def __init__(self, name: str, error: OSError) -> None:
        self.name, self.error, self.real = name, error, os.scandir

    def __call__(self, path: Path) -> object:
        if Path(path).name == self.name:
            raise self.error
        return self.real(path)


def test_a_folder_that_may_not_be_entered_is_noted(tmp_path, monkeypatch):
    make(tmp_path, "a.png", "closed/b.png")
    refused = Refusing("closed", PermissionError(errno.EACCES, "Permission denied"))
    monkeypatch.setattr(os, "scandir", refused)
    assert listed(tmp_path) == ["a.png"]
    assert notes(tmp_path) == "left out, since they may not be read: closed/"
    with pytest.raises(InputError, match=r"closed cannot be listed .*set dataset\.root"):
        list_pictures(tmp_path / "closed")


def test_a_disk_that_fails_is_not_taken_for_an_empty_folder(tmp_path, monkeypatch):
    make(tmp_path, "a.png", "sub/b.png")
    monkeypatch.setattr(os, "scandir", Refusing("sub", OSError(errno.EIO, "Input/output error")))
    with pytest.raises(InputError, match=r"Input/output error.*local disk"):
        list_pictures(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_links_to_nothing_are_noted(tmp_path):
    make(tmp_path, "a.png")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    assert listed(tmp_path) == ["a.png"]
    assert "links to nothing: gone.jpg" in notes(tmp_path)


def test_long_listing_is_said_once(tmp_path, monkeypatch, caplog):
    make(tmp_path, *[f"{number}.png" for number in range(5)])
    with caplog.at_level(logging.INFO):
        list_pictures(tmp_path)
        assert caplog.text == ""
        monkeypatch.setattr(listing, "PATIENCE", -1)
        list_pictures(tmp_path)
    assert caplog.text.count("Listing the pictures in") == 1


def test_whether_there_is_any(tmp_path):
    make(tmp_path, "sub/x.txt")
    assert not any_picture(tmp_path)
    make(tmp_path, "sub/a.png")
    assert any_picture(tmp_path)
