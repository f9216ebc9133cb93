"""FER2013 and FER+ in files: a CSV plain or compressed, archives, folders of pictures. `data.load` calls it.

Archives are read in place, nothing is unpacked to disk, and a picture's size is checked before it is decoded.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np

from fer_utils.data.classes import CLASSES, SIDE, SPLITS, VOTE_NAMES, DataError

__all__ = ["EXPECTED", "Raw", "contents", "read", "read_votes"]

EXPECTED = (
    "expected fer2013.csv, icml_face_data.csv, an archive of one of them, or train/<class>/*.jpg and test/<class>/*.jpg"
)
_PICTURES = (".jpg", ".jpeg", ".png")
_ARCHIVE = re.compile(r"(fer-?2013|icml_face_data|archive|challenges-in-representation-).*\.(tar|tar\.[gx]z|tgz|zip)")
_TABLE = re.compile(r"((?:.*[^a-z])?fer.*|icml_face_data)\.csv(\.gz|\.xz|\.zip)?")
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, NotImplementedError,
           RuntimeError)  # fmt: skip  # zipfile raises the last two for unknown compression and for a password
_TEST = len(SPLITS)  # a picture of PublicTest or PrivateTest, not known which
_SPLIT_FOLDERS = {"train": 0, "training": 0, "publictest": 1, "privatetest": 2, "test": _TEST, "validation": _TEST}
_CLASS_FOLDERS = {alias: index for index, aliases in enumerate((
    "angry anger 0", "disgust disgusted 1", "fear fearful 2", "happy happiness 3", "sad sadness 4",
    "surprise surprised 5", "neutral 6")) for alias in aliases.split()}  # fmt: skip
_EMOTIONS = {str(index): index for index in range(len(CLASSES))}
_USAGES = {split: index for index, split in enumerate(SPLITS)}
_ROWS = 512  # parsed at once: their text stays small beside the images
_LONGEST_LINE = 1 << 16  # seven times the longest possible row; keeps a file without line ends from filling memory
_TRIM = " \"'\t\r\n"


class Raw(NamedTuple):
    """What a file holds: images uint8 [N, 48, 48], labels int8 [N], usage int8 [N], and two facts.

    `official_splits`: PublicTest and PrivateTest are known. `official_order`: sample i is row i of fer2013.csv, as far
    as the file tells, so that FER+ votes can be joined by row.
    """

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    official_splits: bool = True
    official_order: bool = True


def read(path: Path) -> Raw:
    """Read FER2013 from a file, or a folder that `contents` gave. Raises DataError when it is broken or holds none."""
    if path.is_dir():
        return _read_pictures(_pictures_below(path), lambda name: open(path / name, "rb"), str(path))
    try:
        return _read_file(path)
    except _BROKEN as error:
        problem = f"{type(error).__name__}: {str(error)[:100]}"
        raise DataError(f"{path}: cannot be read to its end ({problem}); is it complete?") from error


def contents(path: Path) -> Path | None:
    """The best FER2013 table or archive in a folder and two levels below, the folder itself for pictures, else None.

    A file is returned as it is.
    """
    if not path.is_dir():
        return path
    found = []
    for depth, pattern in enumerate(("*", "*/*", "*/*/*")):
        if depth and any(p.name.lower() in _SPLIT_FOLDERS for p in path.iterdir()):
            break  # a folder of pictures: nothing to gain from listing tens of thousands of them
        found += [(rank, depth, p) for p in path.glob(pattern) if (rank := _rank(p.name)) is not None and p.is_file()]
    if found:
        return min(found)[2]
    return path if any(_pictures_below(path)) else None


def _rank(path: str) -> int | None:
    """How good a find a file is by its name, 0 the best; None = not a table or archive of FER2013."""
    name = PurePosixPath(path).name.lower()
    if name.startswith("fer2013new") or "__macosx" in path.lower():
        return None
    if table := _TABLE.fullmatch(name):
        return {"fer2013": 0, "icml_face_data": 1}.get(table[1], 3)
    return 2 if _ARCHIVE.fullmatch(name) else None


def _pictures_below(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(_PICTURES):
                yield Path(parent, name).relative_to(folder).as_posix()


def _read_file(path: Path) -> Raw:
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            return _read_members(archive.namelist(), archive.open, str(path))
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            files = [member.name for member in archive if member.isfile()]  # no links: they may point anywhere
            return _read_members(files, archive.extractfile, str(path))
    # gzip or xz by what the file holds, whatever its name says
    opener = gzip.open if magic.startswith(b"\x1f\x8b") else lzma.open if magic == b"\xfd7zXZ\0" else open
    return _read_csv(lambda: opener(path, "rb"), str(path))


def _read_members(names: list[str], fetch: Callable[[str], BinaryIO], origin: str) -> Raw:
    """The best CSV among an archive's members, or else its pictures."""
    tables = sorted((r, n) for n in names if n.lower().endswith(".csv") and (r := _rank(n)) is not None)
    if tables:
        return _read_csv(lambda: fetch(tables[0][1]), f"{origin}: {tables[0][1]}")
    pictures = (n for n in names if n.lower().endswith(_PICTURES) and "__macosx" not in n.lower())
    return _read_pictures(pictures, fetch, origin)


# ------------------------------------------------------------------------------------------------------- tables


def _read_csv(opened: Callable[[], BinaryIO], name: str) -> Raw:
    """Read FER2013's CSV; columns in any order, spaces and quotes allowed; `name` for messages."""
    with opened() as stream:
        header = stream.readline(_LONGEST_LINE).decode("utf-8-sig", "replace")
        columns = [cell.strip(_TRIM).lower() for cell in header.split(",")]
        for column in ("pixels", "emotion", "Usage"):
            if column.lower() not in columns:
                shown = "".join(c for c in header if c.isprintable())[:80]
                raise DataError(f"{name}: no column {column!r} in its header {shown!r}; expected emotion,pixels,Usage "
                                "(fer2013.csv, icml_face_data.csv; Kaggle's train.csv and test.csv hold only parts)")
        try:
            with warnings.catch_warnings():
                # NumPy and pandas only warn of a text that is no number and of a column too many.
                warnings.filterwarnings("error", "string or file could not be read|Length of header")
                return _parse(stream, columns)
        except (ValueError, TypeError, Warning) as error:  # pandas' errors are ValueErrors
            problem = error
    with opened() as stream:
        raise DataError(_first_fault(stream, columns, name) or f"{name}: {problem}") from problem


def _parse(stream: BinaryIO, columns: list[str]) -> Raw:
    """The fast way; raises ValueError or TypeError for whatever is wrong, without saying where."""
    import pandas as pd

    parts = []
    for chunk in pd.read_csv(stream, names=columns, header=None, index_col=False, dtype=object, skipinitialspace=True,
                             keep_default_na=False, chunksize=_ROWS):  # fmt: skip
        pixels = np.stack([np.fromstring(text, np.int64, sep=" ") for text in chunk["pixels"]])
        if pixels.shape[1] != SIDE * SIDE or pixels.min() < 0 or pixels.max() > 255:
            raise ValueError(f"not {SIDE * SIDE} pixels from 0 to 255")
        labels, usage = (chunk[c].str.strip().map(m) for c, m in (("emotion", _EMOTIONS), ("usage", _USAGES)))
        parts.append((pixels.astype(np.uint8).reshape(-1, SIDE, SIDE), labels.astype(np.int8), usage.astype(np.int8)))
    return Raw(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _first_fault(stream: BinaryIO, columns: list[str], name: str) -> str | None:
    """What is wrong with the first bad row of a CSV that does not parse; None when no row is."""
    row = -1
    for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=1):
        if len(line) >= _LONGEST_LINE:
            return f"{name}, line {number}: longer than {_LONGEST_LINE} bytes; this is no FER2013 row"
        if number == 1 or not line.strip():
            continue
        row += 1
        where = f"{name}, line {number} (row {row}, counted from 0)"
        cells = [cell.strip(_TRIM) for cell in line.decode("utf-8", "replace").split(",")]
        if len(cells) != len(columns):
            return f"{where}: {len(cells)} columns, expected {len(columns)}; a file cut short looks like this"
        cell = dict(zip(columns, cells, strict=True))
        pixels = cell["pixels"].split()
        if len(pixels) != SIDE * SIDE:
            return f"{where}: {len(pixels)} pixels, expected {SIDE * SIDE} (48 × 48); a file cut short looks like this"
        for place, text in enumerate(pixels):
            if not re.fullmatch("[0-9]{1,9}", text) or int(text) > 255:
                return f"{where}: pixel {place} is {text[:20]!r}, expected a whole number from 0 to 255"
        for what, text, allowed in (("label", cell["emotion"], _EMOTIONS), ("Usage", cell["usage"], _USAGES)):
            if text not in allowed:
                return f"{where}: unknown {what} {text[:20]!r}, expected one of {', '.join(allowed)}"
    return f"{name}: holds a header but no rows" if row < 0 else None


def read_votes(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read FER+ (fer2013new.csv, Barsoum et al. 2016): votes uint8 [N, 10] in VOTE_NAMES order, usage int8 [N]."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, index_col=False, skip_blank_lines=False, encoding="utf-8-sig")
        table = table.rename(columns=str.strip)
        votes = table[[*VOTE_NAMES]].apply(pd.to_numeric, errors="coerce")
        usage = table["Usage"].str.strip().map(_USAGES)
    except (KeyError, ValueError, OSError, EOFError, lzma.LZMAError) as error:  # KeyError: no such column
        raise DataError(f"{path}: cannot be read as FER+'s fer2013new.csv ({error})") from error
    bad = np.flatnonzero(~votes.isin(range(256)).all(axis=1) | usage.isna())
    if bad.size:
        raise DataError(f"{path}, line {bad[0] + 2}: not a row of FER+: {','.join(map(str, table.iloc[bad[0]]))[:80]}")
    return votes.to_numpy(np.uint8), usage.to_numpy(np.int8)


# ----------------------------------------------------------------------------------------------------- pictures


class _Picture(NamedTuple):
    """A picture's split (_TEST = some test split), the number in its name (-1 = none), its path and its class."""

    split: int
    number: int
    path: str
    label: int


def _read_pictures(names: Iterable[str], fetch: Callable[[str], BinaryIO], origin: str) -> Raw:
    """Pictures in train/<class>/ and test/<class>/; `fetch` is called in the order of `names`."""
    pictures, decoded = [], {}
    for name in names:
        if picture := _place(name, origin):
            with fetch(name) as stream:
                decoded[name] = _decode(stream.read(1 << 20), f"{origin}: {name}")  # a picture has a few kilobytes
            pictures.append(picture)
    if not pictures:
        raise DataError(f"{origin}: holds no FER2013; {EXPECTED}")
    # FER2013's order, when the numbers count its rows or each split's; others, as in Kaggle's copy, name no row.
    pictures.sort()
    whole = sorted(p.number for p in pictures) == list(range(len(pictures)))
    if whole:
        pictures.sort(key=lambda p: p.number)
    labels, usage = (np.array([getattr(p, name) for p in pictures], np.int8) for name in ("label", "split"))
    numbers = np.array([p.number for p in pictures])
    counted = whole or all(np.array_equal(n, np.arange(len(n))) for n in (numbers[usage == s] for s in range(_TEST)))
    known = bool((usage < _TEST).all())
    for label in range(len(CLASSES)):  # test pictures of unknown split go half and half, class by class
        rows = np.flatnonzero((usage == _TEST) & (labels == label))
        usage[rows[0::2]], usage[rows[1::2]] = 1, 2
    return Raw(np.stack([decoded[p.path] for p in pictures]), labels, usage, known, known and counted)


def _decode(data: bytes, where: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.size == (SIDE, SIDE):  # known from the header: nothing large is ever decoded
                return np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: unreadable picture ({str(error)[:80]})") from error
    raise DataError(f"{where}: the picture is {' × '.join(map(str, picture.size))}, expected {SIDE} × {SIDE}")


def _place(path: str, origin: str) -> _Picture | None:
    """Class from the folder, split from the file's name or else from the folder above; None = not a face of ours."""
    above, folder, file = ("", "", *PurePosixPath(path).parts)[-3:]
    named = re.match(r"(training|publictest|privatetest)(?:\D*(\d+))?", file.lower())
    split = [s.lower() for s in SPLITS].index(named[1]) if named else _SPLIT_FOLDERS.get(above.lower())
    label = _CLASS_FOLDERS.get(folder.lower())
    if label is None and split is None:
        return None
    if label is None:
        raise DataError(f"{origin}: unknown class folder {folder!r} of {path}, expected one of "
                        f"{', '.join(c.lower() for c in CLASSES)}")
    if split is None:
        raise DataError(f"{origin}: {path} lies below neither train/ nor test/, and its name tells no split")
    digits = [named[2] or -1] if named else re.findall(r"\d+", PurePosixPath(file).stem)
    return _Picture(split, int(digits[-1]) if digits else -1, path, label)
