from __future__ import annotations

import io

import numpy as np
import pytest
from fer_forms import csv_text, icml_text, small, test_text, write_votes

from fer_utils.data import DataError
from fer_utils.data.fer_csv import read_csv, read_votes

RAW = small()


def read(content: bytes):
    return read_csv(io.BytesIO(content), "fer2013.csv")


def same(loaded, raw=RAW) -> None:
    for name in ("images", "labels", "split"):
        got, want = getattr(loaded, name), getattr(raw, name)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_rows_around_the_block_size(n):
    raw = small(n, seed=n)
    same(read(csv_text(raw)), raw)


@pytest.mark.parametrize("change", [
    lambda text: text,
    lambda text: text.replace(b"\n", b"\r\n"),
    lambda text: text.rstrip(b"\n"),
    lambda text: text.replace(b"\n", b"\n\n"),
    lambda text: text.replace(b" ", b"  "),
    lambda text: text.replace(b",", b" , "),
    lambda text: text.replace(b",0 1 2 3 ", b",000 01 2 0003 "),
], ids=["plain", "crlf", "no last newline", "blank lines", "double spaces", "spaced cells", "leading zeros"])
def test_harmless_variations_read_the_same(change):
    same(read(change(csv_text(RAW))))


def test_icml_columns_in_another_order_with_leading_spaces():
    same(read(icml_text(RAW)))


def test_quoted_pixels_without_labels():
    loaded = read(test_text(RAW))
    np.testing.assert_array_equal(loaded.images, RAW.images)
    assert set(loaded.labels) == {-1}
    assert not loaded.official_splits and not loaded.official_order
    assert [(loaded.usage == s).sum() for s in range(3)] == [0, 15, 15]


def changed(row: int, old: str, new: str) -> bytes:
    """The CSV with `old` replaced once in data row `row`."""
    lines = csv_text(RAW).decode().splitlines()
    assert old in lines[row + 1]
    lines[row + 1] = lines[row + 1].replace(old, new, 1)
    return ("\n".join(lines) + "\n").encode()


FIRST = ",0 1 2 3 4 "  # row 0 begins so
BAD = {
    "2303 pixels": (changed(0, FIRST, ",1 2 3 4 "), r"line 2 \(row 0.*2303 pixels, expected 2304"),
    "2305 pixels": (changed(0, FIRST, ",7 0 1 2 3 4 "), r"line 2 .*2305 pixels"),
    "no pixels": (changed(0, csv_text(RAW).decode().splitlines()[1], "0,,Training"), r"line 2 .*0 pixels"),
    "256": (changed(0, FIRST, ",0 1 256 3 4 "), r"line 2 .*pixel 2 is '256'.*0 to 255"),
    "999": (changed(0, FIRST, ",0 1 999 3 4 "), r"pixel 2 is '999'"),
    "65536 + 3": (changed(0, FIRST, ",0 1 2 65539 4 "), r"pixel 3 is '65539'"),
    "negative": (changed(0, FIRST, ",0 -1 2 3 4 "), r"line 2 .*pixel 1 is '-1'"),
    "a word": (changed(0, FIRST, ",0 1 two 3 4 "), r"pixel 2 is 'two'"),
    "a fraction": (changed(0, FIRST, ",0 1 2.0 3 4 "), r"pixel 2 is '2.0'"),
    "other digits": (changed(0, FIRST, ",0 1 ² 3 4 "), r"pixel 2 is '²'"),
    "unknown label": (changed(9, "2,", "7,"), r"line 11 \(row 9.*unknown label '7', expected one of 0, 1"),
    "empty label": (changed(9, "2,", ","), r"line 11 .*unknown label ''"),
    "unknown Usage": (changed(12, "Training", "Train"), r"line 14 \(row 12.*unknown Usage 'Train'.*PrivateTest"),
    "extra column": (changed(4, ",Training", ",Training,1"), r"line 6 .*4 columns, expected 3"),
    "no pixels column": (csv_text(RAW).replace(b"pixels", b"pixel"), r"no column 'pixels'"),
    "no Usage column": (csv_text(RAW).replace(b"Usage", b"Use"), r"no column 'Usage'"),
    "no emotion column": (csv_text(RAW).replace(b"emotion", b"label"), r"no column 'emotion'"),
    "cut in a row": (csv_text(RAW)[:40_000], r"line 6 \(row 4.*cut short"),
    "header only": (b"emotion,pixels,Usage\n", r"no rows"),
    "empty": (b"", r"no column 'pixels'"),
    "binary": (bytes(range(256)) * 50, r"no column 'pixels'"),
    "one endless line": (b"emotion,pixels,Usage\n" + b"0 " * 100_000, r"line 2: longer than"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_rows_name_file_line_and_what_was_expected(content, message):
    with pytest.raises(DataError, match=r"^fer2013\.csv.*" + message):
        read(content)


def test_a_bad_row_late_in_the_file_is_named_by_its_line():
    raw = small(200, seed=1)
    lines = csv_text(raw).decode().splitlines()
    lines[151] = lines[151].replace(" ", " 300 ", 1)
    with pytest.raises(DataError, match=r"line 152 \(row 150"):
        read("\n".join(lines).encode())


def test_votes_read_in_ferplus_order(tmp_path):
    votes, split = read_votes(write_votes(tmp_path / "fer2013new.csv", RAW))
    assert votes.shape == (30, 10) and votes.dtype == np.uint8
    np.testing.assert_array_equal(split, RAW.usage)
    np.testing.assert_array_equal(votes[3], [0, 8, 0, 0, 0, 0, 0, 2, 0, 0])  # row 3 is Happy


@pytest.mark.parametrize(("old", "new", "message"), [
    ("NF", "none", "no column 'NF'"),
    ("Usage", "Use", "no column 'Usage'"),
    ("fer0000003.png,0,8", "fer0000003.png,0,eight", "line 5"),
    ("fer0000003.png,0,8", "fer0000003.png,0,-8", "line 5"),
    ("Training,fer0000003", "Train,fer0000003", "line 5"),
    ("fer0000003.png,0,8,0,0,0,0,0,2,0,0", "fer0000003.png,0,8", "line 5"),
])
def test_bad_votes_name_the_line(tmp_path, old, new, message):
    file = write_votes(tmp_path / "fer2013new.csv", RAW)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read_votes(file)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01"])
def test_votes_that_are_no_csv(tmp_path, content):
    (tmp_path / "v.csv").write_bytes(content)
    with pytest.raises(DataError, match="v.csv"):
        read_votes(tmp_path / "v.csv")
