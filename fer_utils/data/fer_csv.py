"""FER2013's CSV and FER+'s votes: from text to arrays, every row checked."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

__all__ = ["CLASSES", "SIDE", "SPLITS", "VOTE_NAMES", "DataError", "Raw", "halves", "read_csv", "read_votes"]

CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
SPLITS = ("Training", "PublicTest", "PrivateTest")
VOTE_NAMES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
SIDE = 48

_PIXELS = SIDE * SIDE
_BLOCK = 64  # rows parsed at once: their text and index arrays stay inside the processor's cache
_LONGEST_LINE = 1 << 16  # seven times the longest possible row; keeps a file without line ends from filling memory
_TRIM = b" \"'\t\r\n"


class DataError(ValueError):
    """The data is missing or broken; the message names file, row and what was expected."""


@dataclass(frozen=True)
class Raw:
    """What a file holds: images uint8[N, 48, 48], labels int8[N] (-1 unlabelled), usage int8[N], and two facts.

    `official_splits`: PublicTest and PrivateTest are known. `official_order`: row i is row i of fer2013.csv, as far
    as the file can tell, so that FER+ votes can be joined by row.
    """

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    official_splits: bool = True
    official_order: bool = True


def halves(n: int) -> np.ndarray:
    """int8[n]: the first half PublicTest (1), the rest PrivateTest (2), as Kaggle's test.csv is laid out."""
    return np.where(np.arange(n) < (n + 1) // 2, 1, 2).astype(np.int8)


def _shown(cell: bytes) -> str:
    return repr(cell.strip()[:20].decode("utf-8", "replace"))


def _one_row(text: bytes, where: str) -> np.ndarray:
    """The slow, exact way for one row: tolerant of spaces, and says what is wrong with it."""
    words = text.split()
    if len(words) != _PIXELS:
        raise DataError(f"{where}: {len(words)} pixels, expected {_PIXELS} (48 × 48); a file cut short looks like this")
    for place, word in enumerate(words):
        if not word.isdigit() or len(word) > 9 or int(word) > 255:
            raise DataError(f"{where}: pixel {place} is {_shown(word)}, expected a whole number from 0 to 255")
    return np.array([int(word) for word in words], np.uint8)


def _parse_pixels(texts: list[bytes], where: Callable[[int], str]) -> np.ndarray:
    """uint8[n, 2304] from rows of decimal text, many times as fast as int() on every word.

    The fast way covers single spaces and one to three digits; whatever else comes goes row by row.
    """
    # Three spaces in front let the look-back for tens and hundreds stay inside the array.
    text = np.frombuffer(b"   " + b" ".join(texts) + b" ", np.uint8)
    digit = text - np.uint8(48)  # a space wraps round to 240
    ends = np.flatnonzero(text == 32)[3:]
    length = np.diff(ends, prepend=2) - 1
    clean = np.count_nonzero(digit < 10) == text.size - ends.size - 3
    if clean and all(t.count(b" ") == _PIXELS - 1 for t in texts) and length.min() >= 1 and length.max() <= 3:
        value = digit[ends - 1].astype(np.uint16)
        value += np.where(length > 1, digit[ends - 2], 0).astype(np.uint16) * np.uint16(10)
        value += np.where(length > 2, digit[ends - 3], 0).astype(np.uint16) * np.uint16(100)
        if value.max() <= 255:
            return value.astype(np.uint8).reshape(-1, _PIXELS)
    return np.stack([_one_row(t, where(i)) for i, t in enumerate(texts)])


def _columns(line: bytes, name: str) -> dict[str, int]:
    """Places of the columns by lower-case name; `count` is the number of all columns."""
    names = [cell.strip(" \"'\t\r\n").lower() for cell in line.decode("utf-8-sig", "replace").split(",")]
    missing = [column for column in ("pixels", "emotion", "Usage") if column.lower() not in names]
    if missing and missing != ["emotion", "Usage"]:
        header = "".join(c for c in ", ".join(names) if c.isprintable())[:80]
        raise DataError(f"{name}: no column {missing[0]!r} in its header {header!r}; expected "
                        "emotion,pixels,Usage (fer2013.csv, icml_face_data.csv) or pixels alone (Kaggle's test.csv). "
                        "Kaggle's train.csv holds a part only: take icml_face_data.csv")
    return {"count": len(names), **{n: names.index(n) for n in ("emotion", "pixels", "usage") if n in names}}


def _lookup(cell: bytes, allowed: dict[bytes, int], what: str, where: str) -> int:
    try:
        return allowed[cell.strip(_TRIM)]
    except KeyError:
        known = ", ".join(key.decode() for key in allowed)
        raise DataError(f"{where}: unknown {what} {_shown(cell)}, expected one of {known}") from None


class _Rows:
    """Collects rows and parses their pixels block by block."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pixels: list[np.ndarray] = []
        self.waiting: list[tuple[bytes, int]] = []
        self.parsed = 0

    def where(self, line: int, row: int) -> str:
        return f"{self.name}, line {line} (row {row}, counted from 0)"

    @property
    def count(self) -> int:
        return self.parsed + len(self.waiting)

    def add(self, text: bytes, line: int) -> None:
        self.waiting.append((text, line))
        if len(self.waiting) == _BLOCK:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            texts, lines = zip(*self.waiting, strict=True)
            self.pixels.append(_parse_pixels(list(texts), lambda i: self.where(lines[i], self.parsed + i)))
            self.parsed += len(texts)
            self.waiting.clear()


def _lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=1):
        if len(line) >= _LONGEST_LINE:
            raise DataError(f"{name}, line {number}: longer than {_LONGEST_LINE} bytes; this is no FER2013 row")
        yield number, line


def read_csv(stream: BinaryIO, name: str) -> Raw:
    """Read FER2013's CSV from a binary stream; columns in any order, spaces and quotes allowed; `name` for messages.

    Without `emotion` and `Usage` (Kaggle's test.csv) labels are -1 and the first half counts as PublicTest.
    Raises DataError, with line and row, for a missing column, a wrong count of pixels, a pixel that is no whole number
    from 0 to 255, an unknown label or Usage.
    """
    lines = _lines(stream, name)
    columns = _columns(next(lines, (1, b""))[1], name)
    emotions = {str(i).encode(): i for i in range(len(CLASSES))}
    usages = {split.encode(): i for i, split in enumerate(SPLITS)}
    rows, labels, split = _Rows(name), [], []
    for number, line in lines:
        cells = line.split(b",")
        where = rows.where(number, rows.count)
        if len(cells) != columns["count"]:
            if not line.strip():
                continue
            rows.flush()  # so that of several bad rows the first one is named
            raise DataError(f"{where}: {len(cells)} columns, expected {columns['count']}; "
                            "a file cut short looks like this")
        rows.add(cells[columns["pixels"]].strip(_TRIM), number)
        if "emotion" in columns:
            labels.append(_lookup(cells[columns["emotion"]], emotions, "label", where))
            split.append(_lookup(cells[columns["usage"]], usages, "Usage", where))
    rows.flush()
    if not rows.pixels:
        raise DataError(f"{name}: holds a header but no rows")
    images = np.concatenate(rows.pixels).reshape(-1, SIDE, SIDE)
    if "emotion" in columns:
        return Raw(images, np.array(labels, np.int8), np.array(split, np.int8))
    n = len(images)
    return Raw(images, np.full(n, -1, np.int8), halves(n), official_splits=False, official_order=False)


def read_votes(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read FER+ (fer2013new.csv, Barsoum et al. 2016): votes uint8[N, 10] in VOTE_NAMES order, split int8[N]."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as FER+ votes ({error})") from error
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    missing = [v for v in ("Usage", *VOTE_NAMES) if v.lower() not in header]
    if missing:
        raise DataError(f"{path}: no column {missing[0]!r}; expected FER+'s fer2013new.csv")
    places, usage = [header.index(v.lower()) for v in VOTE_NAMES], header.index("usage")
    votes, split = np.zeros((len(rows) - 1, len(VOTE_NAMES)), np.uint8), np.zeros(len(rows) - 1, np.int8)
    for i, row in enumerate(rows[1:]):
        try:
            votes[i] = [int(row[p]) for p in places]
            split[i] = SPLITS.index(row[usage].strip())
        except (ValueError, IndexError, OverflowError) as error:
            raise DataError(f"{path}, line {i + 2}: not a row of FER+ ({error})") from error
    return votes, split
