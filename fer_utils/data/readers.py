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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from fer_utils.data.classes import CLASSES, SIDE, SPLITS, VOTE_NAMES, DataError

__all__ = ["EXPECTED", "Raw", "contents", "read", "read_votes"]

EXPECTED = (
    "expected fer2013.csv, icml_face_data.csv, an archive of one of them, or train/<class>/*.jpg and test/<class>/*.jpg"
)
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".pgm")
_TABLE = re.compile(r"(.+\.csv)(\.gz|\.xz|\.zip)?|(.+?)\.(tar|tar\.gz|tar\.xz|tgz|zip)")
_TAR = re.compile(r"\.(tar|tar\.gz|tar\.xz|tgz)$")
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, NotImplementedError,
           RuntimeError)  # zipfile raises the last two for unknown compression and for a password
_SPLIT_FOLDERS = {"train": 0, "training": 0, "publictest": 1, "privatetest": 2, "test": -1, "validation": -1,
                  "val": -1, "valid": -1}
_CLASS_FOLDERS = {alias: index for index, aliases in enumerate((
    "angry anger 0", "disgust disgusted 1", "fear fearful 2", "happy happiness 3", "sad sadness 4",
    "surprise surprised 5", "neutral 6")) for alias in aliases.split()}
_SPLIT_IN_NAME = re.compile(r"(training|publictest|privatetest)(?:\D*(\d+))?", re.IGNORECASE)
_EMOTIONS = {str(index): index for index in range(len(CLASSES))}
_USAGES = {split: index for index, split in enumerate(SPLITS)}
_ROWS = 512  # parsed at once: their text stays small beside the images
_LONGEST_LINE = 1 << 16  # seven times the longest possible row; keeps a file without line ends from filling memory


@dataclass(frozen=True)
class Raw:
    """What a file holds: images uint8 [N, 48, 48], labels int8 [N] (-1 unlabelled), usage int8 [N], and two facts.

    `official_splits`: PublicTest and PrivateTest are known. `official_order`: sample i is row i of fer2013.csv, as far
    as the file tells, so that FER+ votes can be joined by row.
    """

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    official_splits: bool = True
    official_order: bool = True


def read(path: Path) -> Raw:
    """Read FER2013 from a file or a folder in any form. Raises DataError when there is none or it is broken."""
    found = contents(path) if path.exists() else None
    if found is None:
        raise DataError(f"{path}: holds no FER2013; {EXPECTED}" if path.exists() else f"{path}: does not exist")
    if found.is_dir():
        return _read_pictures(_pictures_below(found), lambda name: open(found / name, "rb"), str(found))
    try:
        return _read_file(found)
    except _BROKEN as error:
        raise DataError(f"{found}: cannot be read to its end ({type(error).__name__}: {str(error)[:100]}); "
                        "is it complete?") from error


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
    best = min(found, default=None)
    if best and (best[0] < 8 or not any(_pictures_below(path))):
        return best[2]
    return path if any(_pictures_below(path)) else None


def _rank(path: str) -> int | None:
    """How good a find a file is by its name, 0 the best; None = not a table or archive of FER2013.

    Kaggle's train.csv and test.csv come last: they are parts, found beside the whole.
    """
    name = PurePosixPath(path).name.lower()
    match = _TABLE.fullmatch(name)
    if not match or name.startswith(("fer2013new", ".")) or "__macosx" in path.lower():
        return None
    if match[1]:
        last = {"train.csv": 8, "test.csv": 9, "fer2013.csv": 0, "icml_face_data.csv": 1}
        return last.get(match[1], 5 if re.search(r"(^|[^a-z])fer", match[1]) else None)
    known = ("fer2013", "fer-2013", "icml_face_data", "archive", "challenges-in-representation-learning")
    return 3 if match[3].startswith(known) else None


def _pictures_below(folder: Path) -> Iterable[str]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(_PICTURES):
                yield Path(parent, name).relative_to(folder).as_posix()


# ------------------------------------------------------------------------------------------- files and archives


def _read_file(path: Path) -> Raw:
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            return _read_members(names, archive.open, str(path))
    # gzip or xz by what the file holds, whatever its name says
    opener = gzip.open if magic[:2] == b"\x1f\x8b" else lzma.open if magic == b"\xfd7zXZ\0" else open
    with io.BufferedReader(opener(path, "rb")) as stream:
        is_tar = stream.peek(512)[257:262] == b"ustar" or _TAR.search(path.name.lower())
    if not is_tar:
        return _read_csv(lambda: opener(path, "rb"), str(path))
    with tarfile.open(path) as archive:
        members = {m.name: m for m in archive.getmembers() if not m.isdir()}
        # No links: they may point anywhere.
        files = [name for name, member in members.items() if member.isfile() or not _inside(name)]
        return _read_members(files, lambda name: archive.extractfile(members[name]), str(path))


def _inside(name: str) -> bool:
    return ".." not in re.split(r"[/\\]", name) and not re.match(r"[/\\]|[A-Za-z]:", name)


def _read_members(names: list[str], fetch: Callable[[str], BinaryIO], origin: str) -> Raw:
    """The best CSV among an archive's members, or else its pictures."""
    for name in names:  # nothing is unpacked, but an archive with such a member is no copy of FER2013
        if not _inside(name):
            raise DataError(f"{origin}: refused, its member {name!r} points outside of the archive")
    tables = sorted((r, n) for n in names if n.lower().endswith(".csv") and (r := _rank(n)) is not None)
    pictures = [n for n in names if n.lower().endswith(_PICTURES) and "__macosx" not in n.lower()]
    if tables and (tables[0][0] < 8 or not pictures):
        return _read_csv(lambda: fetch(tables[0][1]), f"{origin}: {tables[0][1]}")
    return _read_pictures(pictures, fetch, origin)


# ------------------------------------------------------------------------------------------------------- tables


def _read_csv(opened: Callable[[], BinaryIO], name: str) -> Raw:
    """Read FER2013's CSV; columns in any order, spaces and quotes allowed; `name` for messages.

    Without `emotion` and `Usage` (Kaggle's test.csv) labels are -1 and the first half counts as PublicTest.
    """
    with opened() as stream:
        columns = _columns(stream.readline(_LONGEST_LINE), name)
        try:
            with warnings.catch_warnings():
                # NumPy and pandas only warn of a text that is no number and of a column too many.
                warnings.filterwarnings("error", "string or file could not be read|Length of header")
                images, labels, usage = _parse(stream, columns)
        except (ValueError, TypeError, Warning) as error:  # pandas' errors are ValueErrors
            problem = error
        else:
            return Raw(images, labels, usage, "emotion" in columns, "emotion" in columns)
    with opened() as stream:
        raise DataError(_first_fault(stream, columns, name) or f"{name}: {problem}") from problem


def _columns(line: bytes, name: str) -> list[str]:
    """The columns' names in lower case."""
    names = [cell.strip(" \"'\t\r\n").lower() for cell in line.decode("utf-8-sig", "replace").split(",")]
    missing = [column for column in ("pixels", "emotion", "Usage") if column.lower() not in names]
    if missing and missing != ["emotion", "Usage"]:
        header = "".join(c for c in ", ".join(names) if c.isprintable())[:80]
        raise DataError(f"{name}: no column {missing[0]!r} in its header {header!r}; expected "
                        "emotion,pixels,Usage (fer2013.csv, icml_face_data.csv) or pixels alone (Kaggle's test.csv). "
                        "Kaggle's train.csv holds a part only: take icml_face_data.csv")
    return names


def _parse(stream: BinaryIO, columns: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels and usage; raises ValueError or TypeError for whatever is wrong, without saying where."""
    import pandas as pd

    images, labels, usage = [], [], []
    for chunk in pd.read_csv(stream, names=columns, header=None, index_col=False, dtype=object, skipinitialspace=True,
                             keep_default_na=False, chunksize=_ROWS):
        pixels = np.stack([np.fromstring(text, np.int64, sep=" ") for text in chunk["pixels"]])
        if pixels.min() < 0 or pixels.max() > 255:
            raise ValueError("a pixel is not within 0 to 255")
        images.append(pixels.astype(np.uint8).reshape(-1, SIDE, SIDE))
        if len(images[-1]) != len(chunk):
            raise ValueError(f"not {SIDE * SIDE} pixels in each row")
        if "emotion" in columns:
            labels.append(chunk["emotion"].str.strip().map(_EMOTIONS).astype(np.int8))
            usage.append(chunk["usage"].str.strip().map(_USAGES).astype(np.int8))
    rows = sum(map(len, images))
    if labels:
        return np.concatenate(images), np.concatenate(labels), np.concatenate(usage)
    halves = np.where(np.arange(rows) < (rows + 1) // 2, 1, 2).astype(np.int8)
    return np.concatenate(images), np.full(rows, -1, np.int8), halves


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
        cells = [cell.strip(" \"'\t\r\n") for cell in line.decode("utf-8", "replace").split(",")]
        if len(cells) != len(columns):
            return f"{where}: {len(cells)} columns, expected {len(columns)}; a file cut short looks like this"
        cell = dict(zip(columns, cells, strict=True))
        pixels = cell["pixels"].split()
        if len(pixels) != SIDE * SIDE:
            return f"{where}: {len(pixels)} pixels, expected {SIDE * SIDE} (48 × 48); a file cut short looks like this"
        for place, text in enumerate(pixels):
            if not re.fullmatch("[0-9]{1,9}", text) or int(text) > 255:
                return f"{where}: pixel {place} is {text[:20]!r}, expected a whole number from 0 to 255"
        for column, allowed, what in (("emotion", _EMOTIONS, "label"), ("usage", _USAGES, "Usage")):
            if column in cell and cell[column] not in allowed:
                return f"{where}: unknown {what} {cell[column][:20]!r}, expected one of {', '.join(allowed)}"
    return f"{name}: holds a header but no rows" if row < 0 else None


def read_votes(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read FER+ (fer2013new.csv, Barsoum et al. 2016): votes uint8 [N, 10] in VOTE_NAMES order, usage int8 [N]."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, index_col=False, skip_blank_lines=False, encoding="utf-8-sig")
    except (OSError, ValueError, EOFError, lzma.LZMAError) as error:  # pandas' errors are ValueErrors
        raise DataError(f"{path}: cannot be read as FER+ votes ({error})") from error
    table.columns = [column.strip().lower() for column in table.columns]
    for column in ("Usage", *VOTE_NAMES):
        if column.lower() not in table.columns:
            raise DataError(f"{path}: no column {column!r}; expected FER+'s fer2013new.csv")
    votes = table[[v.lower() for v in VOTE_NAMES]].apply(pd.to_numeric, errors="coerce")
    usage = table["usage"].str.strip().map(_USAGES)
    bad = np.flatnonzero(~(votes.isin(range(256)).all(axis=1) & usage.notna()))
    if bad.size:
        raise DataError(f"{path}, line {bad[0] + 2}: not a row of FER+: {','.join(map(str, table.iloc[bad[0]]))[:80]}")
    return votes.to_numpy(np.uint8), usage.to_numpy(np.int8)


# ----------------------------------------------------------------------------------------------------- pictures


@dataclass(frozen=True)
class _Picture:
    """A picture's place: its path, class, split (-1 = some test split) and the number in its name (-1 = none)."""

    path: str
    label: int
    split: int
    number: int


def _read_pictures(names: Iterable[str], fetch: Callable[[str], BinaryIO], origin: str) -> Raw:
    """Pictures in train/<class>/ and test/<class>/; `fetch` is called in the order of `names`."""
    pictures = [p for name in names if (p := _place(name, origin))]
    if not pictures:
        raise DataError(f"{origin}: holds no FER2013; {EXPECTED}")
    decoded = {}
    for picture in pictures:
        with fetch(picture.path) as stream:
            decoded[picture.path] = _decode(stream.read(1 << 20), f"{origin}: {picture.path}")  # it has a few kilobytes
    pictures, counted = _ordered(pictures)
    labels, usage = (np.array([getattr(p, name) for p in pictures], np.int8) for name in ("label", "split"))
    known = bool((usage >= 0).all())
    for label in range(len(CLASSES)):  # test pictures of unknown split go half and half, class by class
        rows = np.flatnonzero((usage < 0) & (labels == label))
        usage[rows[0::2]], usage[rows[1::2]] = 1, 2
    return Raw(np.stack([decoded[p.path] for p in pictures]), labels, usage, known, counted)


def _decode(data: bytes, where: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            size = picture.size  # known from the header: nothing large is ever decoded
            pixels = np.asarray(picture.convert("L")) if size == (SIDE, SIDE) else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: unreadable picture ({str(error)[:80]})") from error
    if pixels is None:
        raise DataError(f"{where}: the picture is {size[0]} × {size[1]}, expected {SIDE} × {SIDE}")
    return pixels


def _place(path: str, origin: str) -> _Picture | None:
    """Class from the folder, split from the file's name or else from the folder above; None = not a face of ours."""
    *folders, file = PurePosixPath(path).parts
    named = _SPLIT_IN_NAME.match(file)
    label = _CLASS_FOLDERS.get(folders[-1].lower()) if folders else None
    folder_split = _SPLIT_FOLDERS.get(folders[-2].lower()) if len(folders) > 1 else None
    if label is None:
        if folder_split is None and not named:
            return None
        raise DataError(f"{origin}: unknown class folder {folders[-1] if folders else '.'!r} of {path}, expected one "
                        f"of {', '.join(c.lower() for c in CLASSES)}")
    if named:
        return _Picture(path, label, [s.lower() for s in SPLITS].index(named[1].lower()), int(named[2] or -1))
    if folder_split is None:
        raise DataError(f"{origin}: {path} lies below neither train/ nor test/, and its name tells no split")
    digits = re.findall(r"\d+", PurePosixPath(file).stem)
    return _Picture(path, label, folder_split, int(digits[-1]) if digits else -1)


def _ordered(pictures: list[_Picture]) -> tuple[list[_Picture], bool]:
    """Sort into fer2013.csv's order when the names' numbers tell it; the flag says whether they do.

    They do when they count the rows of the whole file, or of each split. Other numbers (Kaggle's folder copy has such)
    sort the pictures within their split but name no row.
    """
    known = all(p.split >= 0 for p in pictures)
    if sorted(p.number for p in pictures) == list(range(len(pictures))):
        return sorted(pictures, key=lambda p: p.number), known
    pictures = sorted(pictures, key=lambda p: (p.split < 0, p.split, p.number, p.path))
    by_split = [[p.number for p in pictures if p.split == s] for s in range(len(SPLITS))]
    return pictures, known and all(numbers == list(range(len(numbers))) for numbers in by_split)
