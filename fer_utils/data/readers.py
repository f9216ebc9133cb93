"""FER2013 in files: a CSV plain or compressed, archives, folders of pictures.

Archives are read in place, nothing is ever unpacked to disk, and a picture's size is checked before it is decoded.
`fer_utils.data.fer2013` is the public face of this module; use `data.load`.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from fer_utils.data.fer_csv import CLASSES, SIDE, SPLITS, DataError, Raw, read_csv

__all__ = ["contents", "read"]

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


# ----------------------------------------------------------------------------------------------------- pictures


@dataclass(frozen=True)
class _Picture:
    """A picture's place: its path, class, split (-1 = some test split) and the number in its name (-1 = none)."""

    path: str
    label: int
    split: int
    number: int


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
        split = [s.lower() for s in SPLITS].index(named[1].lower())
        return _Picture(path, label, split, int(named[2]) if named[2] else -1)
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


def _deal_tests(labels: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Deal test pictures of unknown split out in turn, class by class, so that both halves hold every class."""
    split = split.copy()
    for label in range(len(CLASSES)):
        rows = np.flatnonzero((split < 0) & (labels == label))
        split[rows[0::2]], split[rows[1::2]] = 1, 2
    return split


def _read_pictures(names: Iterable[str], fetch: Callable[[str], bytes], origin: str) -> Raw:
    """Pictures in train/<class>/ and test/<class>/; `fetch` is called in the order of `names`."""
    pictures = [p for name in names if (p := _place(name, origin))]
    if not pictures:
        raise DataError(f"{origin}: holds no FER2013; expected fer2013.csv, icml_face_data.csv, an archive of one of "
                        "them, or train/<class>/*.jpg and test/<class>/*.jpg")
    decoded = {p.path: _decode(fetch(p.path), f"{origin}: {p.path}") for p in pictures}
    pictures, counted = _ordered(pictures)
    labels = np.array([p.label for p in pictures], np.int8)
    split = np.array([p.split for p in pictures], np.int8)
    known = bool((split >= 0).all())
    return Raw(np.stack([decoded[p.path] for p in pictures]), labels, _deal_tests(labels, split), known, counted)


# ------------------------------------------------------------------------------------------- archives and files


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


def _safe(names: Iterable[str], origin: str) -> list[str]:
    """Refuse an archive with a member that would land outside of it, although nothing is unpacked here."""
    names = list(names)
    for name in names:
        if ".." in re.split(r"[/\\]", name) or re.match(r"[/\\]|[A-Za-z]:", name):
            raise DataError(f"{origin}: refused, its member {name!r} points outside of the archive")
    return names


def _read_members(names: list[str], fetch: Callable[[str], BinaryIO], origin: str) -> Raw:
    """The best CSV among an archive's members, or else its pictures."""
    tables = sorted((r, n) for n in names if n.lower().endswith(".csv") and (r := _rank(n)) is not None)
    pictures = [n for n in names if n.lower().endswith(_PICTURES) and "__macosx" not in n.lower()]
    if tables and (tables[0][0] < 8 or not pictures):
        with io.BufferedReader(fetch(tables[0][1]), 1 << 20) as stream:  # type: ignore[type-var]
            return read_csv(stream, f"{origin}: {tables[0][1]}")

    def data(name: str) -> bytes:
        with fetch(name) as stream:
            return stream.read(1 << 20)  # a 48-px picture has a few kilobytes

    return _read_pictures(pictures, data, origin)


def _read_zip(path: Path) -> Raw:
    with zipfile.ZipFile(path) as archive:
        names = _safe((i.filename for i in archive.infolist() if not i.is_dir()), str(path))
        return _read_members(names, archive.open, str(path))  # type: ignore[arg-type]


def _read_tar(path: Path) -> Raw:
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        _safe((m.name for m in members), str(path))
        files = {m.name: m for m in members if m.isfile()}  # no links: they may point anywhere
        return _read_members(list(files), lambda name: archive.extractfile(files[name]), str(path))  # type: ignore


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """The file's bytes, decompressed when they are gzip or xz, whatever its name says."""
    with open(path, "rb") as file:
        magic = file.read(6)
    opener = gzip.open if magic[:2] == b"\x1f\x8b" else lzma.open if magic == b"\xfd7zXZ\0" else open
    with opener(path, "rb") as stream, io.BufferedReader(stream, 1 << 20) as buffered:  # type: ignore[operator]
        yield buffered


def _read_file(path: Path) -> Raw:
    try:
        with open(path, "rb") as file:
            start = file.read(4)
        if start in (b"PK\x03\x04", b"PK\x05\x06"):
            return _read_zip(path)
        with _opened(path) as stream:
            if stream.peek(512)[257:262] != b"ustar" and not _TAR.search(path.name.lower()):
                return read_csv(stream, str(path))
        return _read_tar(path)
    except _BROKEN as error:
        raise DataError(f"{path}: cannot be read to its end ({type(error).__name__}: {str(error)[:100]}); "
                        "is it complete?") from error


# ------------------------------------------------------------------------------------------------------ folders


def _pictures_below(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(_PICTURES):
                yield Path(parent, name).relative_to(folder).as_posix()


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
    if best and best[0] < 8:
        return best[2]
    if any(True for _ in _pictures_below(path)):
        return path
    return best[2] if best else None


def read(path: Path) -> Raw:
    """Read FER2013 from a file or a folder in any form. Raises DataError when there is none or it is broken."""
    found = contents(path) if path.exists() else None
    if found is None:
        raise DataError(f"{path}: holds no FER2013" if path.exists() else f"{path}: does not exist")
    if found.is_dir():
        return _read_pictures(_pictures_below(found), lambda name: (found / name).read_bytes(), str(found))
    return _read_file(found)
