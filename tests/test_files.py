"""Tables on the disk."""

import os
from pathlib import Path

import pytest

from facegan.errors import InputError
from facegan.files import append_csv, expect_writable, legible, read_csv, write_csv


def test_a_table_is_read_as_it_was_written(tmp_path: Path):
    path = tmp_path / "deep" / "a.csv"
    name = b"f\xff.png".decode("utf-8", "surrogateescape")  # of a file, which may be any bytes
    write_csv(path, ["name", "cluster"], [{"name": name, "cluster": 3}, {"name": "ü, or two"}])
    assert read_csv(path) == [
        {"name": name, "cluster": "3"},
        {"name": "ü, or two", "cluster": ""},
    ]
    assert b"f\xff.png" in path.read_bytes()


def test_a_line_cut_short_is_dropped_and_columns_are_added(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("epoch,loss\n1,0.5\n2")
    append_csv(path, {"epoch": 2, "speed": 9})
    assert read_csv(path) == [
        {"epoch": "1", "loss": "0.5", "speed": ""},
        {"epoch": "2", "loss": "", "speed": "9"},
    ]
    path.write_text("loss,step\n0.5,128\n0.25,25")  # of 256: no field is missing
    assert read_csv(path) == [{"loss": "0.5", "step": "128"}]
    assert read_csv(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("café", "café"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("a\nb\x07", "a\\nb\\x07"),
        ("日本 😀", "日本 😀"),
        ("$x$ |_", "$x$ |_"),
    ],
)
def test_any_name_of_a_file_becomes_legible(name, shown):
    assert legible(name) == shown
    shown.encode("utf-8")


def test_a_directory_is_found_writable_without_being_made(tmp_path: Path):
    expect_writable(tmp_path / "deep" / "new")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "deep"):
        with pytest.raises(InputError, match="set out= to another place"):
            expect_writable(directory)
