"""Annotation files: however a program of tables wrote them, the same values by picture."""

import contextlib
import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegan.data.sources.label_files import read_table
from facegan.errors import InputError

COLUMNS = ["Bald", "Eyeglasses", "5_o_Clock_Shadow"]
PATH = Path("list_attr_celeba.csv")


def read(text: str, encoding: str = "utf-8") -> dict[str, list[int]]:
    table = read_table(PATH, text.encode(encoding))
    return dict(zip(table.pictures, table.values.tolist(), strict=True))


STYLES = {
    "as they are": str,
    "with a decimal point": lambda v: f"{v}.0",
    "with an exponent": lambda v: f"{v:.6e}",
    "with a sign": lambda v: f"{v:+d}",
    "padded": lambda v: f"{v:4d}",
    "words": lambda v: {1: "True", 0: "False", -1: "-1"}[v],
    "small words": lambda v: {1: "true", 0: "false", -1: "-1"}[v],
}
CASES = st.fixed_dictionaries(
    {
        "rows": st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3), min_size=3,
                         max_size=8),
        "separator": st.sampled_from([",", ";", "\t"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        "end": st.sampled_from(["\n", "\r\n", "\n\n"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        "style": st.sampled_from(sorted(STYLES)),
        "index": st.sampled_from([None, "", "Unnamed: 0", "index"]),
        "start": st.integers(0, 1000),
        "place": st.integers(0, 3),  # of the column with the pictures
        "folder": st.sampled_from(["", "img_align_celeba/", "C:\\data\\"]),
        "first": st.sampled_from(["image_id", "", "File Name"]),
    }
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(CASES)
def test_any_csv_that_names_pictures_is_read(case):
    names = [f"{number:06d}.jpg" for number in range(1, len(case["rows"]) + 1)]
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=case["separator"], quoting=case["quoting"], lineterminator=case["end"]
    )
    header = [*COLUMNS[: case["place"]], case["first"], *COLUMNS[case["place"] :]]
    writer.writerow(header if case["index"] is None else [case["index"], *header])
    for number, (name, values) in enumerate(zip(names, case["rows"], strict=True)):
        cells = [STYLES[case["style"]](value) for value in values]
        cells.insert(case["place"], case["folder"] + name)
        writer.writerow(cells if case["index"] is None else [case["start"] + number, *cells])
    table = read_table(PATH, out.getvalue().encode(case["encoding"]))
    assert table.columns == COLUMNS
    assert table.pictures == names
    assert table.values.tolist() == case["rows"]
    assert table.rows_of(["000002.jpg", "999999.jpg"]).tolist() == [1, -1]


@given(st.binary(max_size=200), st.sampled_from([b"", b"000001.jpg,1\n", b"a,b\n000001.jpg,"]))
def test_any_bytes_are_read_or_refused_in_a_sentence(noise, before):
    with contextlib.suppress(InputError):
        table = read_table(PATH, before + noise)
        assert table.values.shape[0] == len(table.pictures) > 0


def test_the_authors_own_form():
    text = "2\nBald Eyeglasses \n000001.jpg -1  1\n000002.jpg  1 -1\n"
    assert read(text) == {"000001.jpg": [-1, 1], "000002.jpg": [1, -1]}
    assert read("000001.jpg 0\n000002.jpg 2\n") == {"000001.jpg": [0], "000002.jpg": [2]}


def test_an_index_without_any_header_is_no_value():
    assert read("0,000001.jpg,2880\n1,000002.jpg,2937\n") == {
        "000001.jpg": [2880],
        "000002.jpg": [2937],
    }


def test_pictures_converted_to_another_format_have_the_same_rows():
    table = read_table(PATH, b"image_id,a\n000001.jpg,1\n000002.jpg,0\n")
    assert table.rows_of(["000002.png", "000001.JPG"]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image_id,Bald\n000001.jpg,1\n000002.jpg,x\n", "line 3, column Bald has 'x'"),
        ("image_id,Bald\n000001.jpg,0.5\n", r"line 2, column Bald has '0\.5'"),
        ("image_id,Bald\n000001.jpg,\n", "line 2, column Bald has ''"),
        ("image_id,Bald\n000001.jpg,nan\n", "line 2, column Bald has 'nan'"),
        ("image_id,Bald\n000001.jpg,1\n000002.jpg\n", "line 3 has 1 columns, and line 2 has 2"),
        ("image_id,Bald,Young\n000001.jpg,1\n", "line 1 has 3 names for 2 columns"),
        ("image_id\n000001.jpg\n", "has no values"),
        ("<html></html>", "names no picture"),
        ("", "names no picture"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(text, sentence):
    with pytest.raises(InputError, match=sentence):
        read(text)


def test_a_large_file_is_read_in_little_time_and_memory():
    row = ",".join(["-1"] * 40)
    lines = [f"{number:06d}.jpg,{row}" for number in range(2000)]
    table = read_table(PATH, "\n".join([",".join(["id", *map(str, range(40))]), *lines]).encode())
    assert table.values.shape == (2000, 40)
    assert np.unique(table.values).tolist() == [-1]
