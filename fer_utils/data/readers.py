"""FER2013 and FER+ in files: a CSV plain or compressed, Parquet, archives, folders of pictures. `data.load` calls it.

Archives are read in place, nothing is unpacked to disk, and a picture's size is checked before it is decoded.
"""

import csv
import gzip
import io
import json
import lzma
import os
import re
import tarfile
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fer_utils.data.classes import CLASSES, SIDE, SPLITS, VOTE_CLASSES, VOTE_NAMES, DataError

_PICTURES = (".jpg", ".jpeg", ".png")
_FERPLUS_LISTS = ("fer2013train/label.csv", "fer2013valid/label.csv", "fer2013test/label.csv")
EXPECTED = "expected fer2013.csv, icml_face_data.csv, an archive, or train/<class>/*.jpg and test/<class>/*.jpg"
_ARCHIVE = re.compile(r"(fer-?2013|icml_face_data|archive|challenges-in-representation-).*\.(tar|tar\.[gx]z|tgz|zip)")
_TABLE = re.compile(r"((?:.*[^a-z])?fer.*|icml_face_data)\.csv(\.gz|\.xz|\.zip)?")
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, NotImplementedError,
           RuntimeError)  # fmt: skip  # zipfile raises the last two for unknown compression and for a password
_EMOTIONS = tuple(map(str, range(len(CLASSES))))
_TEST, _VALIDATION = 3, 4  # side by side PublicTest and PrivateTest are meant; one alone holds both
_SPLIT_FOLDERS = {alias: index for index, aliases in enumerate((
    "train training fer2013train", "publictest fer2013valid", "privatetest fer2013test", "test",
    "validation valid val")) for alias in aliases.split()}  # fmt: skip
_CLASS_FOLDERS = {alias: index for index, aliases in enumerate((
    "angry anger 0", "disgust disgusted 1", "fear fearful 2", "happy happiness 3", "sad sadness 4",
    "surprise surprised 5", "neutral 6")) for alias in aliases.split()}  # fmt: skip
# Names of the columns with labels, pixels and splits, the preferred one first.
_COLUMNS = (("emotion", "label", "labels"), ("pixels", "image", "img", "img_bytes"), ("usage", "split"))


class Raw(NamedTuple):
    """What a file holds."""

    images: np.ndarray  # uint8 [N, 48, 48]
    labels: np.ndarray  # int8 [N]
    usage: np.ndarray  # int8 [N]
    official_splits: bool = True  # PublicTest and PrivateTest are known
    official_order: bool = True  # sample i is row i of fer2013.csv, so that FER+ votes can be joined by row
    votes: np.ndarray = np.zeros((0, len(VOTE_NAMES)), np.uint8)  # [N, 10] where labels were made of FER+'s votes


def read(path: Path) -> Raw:
    """Read FER2013 from a file, or a folder that `contents` gave. Raises DataError when it is broken or holds none."""
    try:
        if path.is_dir():
            return _read_members(files_below(path), lambda name: open(path / name, "rb"), str(path))
        with open(path, "rb") as file:
            magic = file.read(6)
        if magic.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                return _read_members(_shown(archive.namelist()), archive.open, str(path))
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                files = [member.name for member in archive if member.isfile()]  # no links: they may point anywhere
                return _read_members(_shown(files), archive.extractfile, str(path))
        if magic.startswith(b"PAR1"):
            return _read_parquet([path.name], lambda _: open(path, "rb"), str(path.parent))
        # gzip or xz by what the file holds, whatever its name says
        opener = gzip.open if magic.startswith(b"\x1f\x8b") else lzma.open if magic == b"\xfd7zXZ\0" else open
        with opener(path, "rb") as stream:
            return _read_csv(stream, str(path))
    except _BROKEN as error:
        problem = f"{type(error).__name__}: {str(error)[:100]}"
        raise DataError(f"{path}: cannot be read to its end ({problem}); is it complete?") from error


def files_below(folder: Path) -> list[str]:
    """Names of all files in a folder and below, relative to it, sorted; hidden ones are left out."""
    return _shown(sorted(Path(parent, name).relative_to(folder).as_posix()
                         for parent, _, names in os.walk(folder, followlinks=True) for name in names))


def _shown(names: list[str]) -> list[str]:
    """Without what Jupyter, macOS and editors leave behind: `.ipynb_checkpoints/…`, `__MACOSX/…`, `._1.jpg`."""
    return [name for name in names if not re.search(r"(^|/)(\.[^./]|__macosx/)", name, re.IGNORECASE)]


def contents(path: Path) -> Path | None:
    """The best table or archive of FER2013 in or below a folder, itself with pictures, else None; a file as it is."""
    if not path.is_dir():
        return path
    names = files_below(path)
    if best := _best(names):
        return path / best
    return path if _having(names, *_PICTURES, ".parquet") else None


def _best(names: list[str]) -> str | None:
    """The best table or archive of FER2013 by its name."""
    found = []
    for name in names:
        file = PurePosixPath(name).name.lower()
        if file.startswith("fer2013new"):
            continue
        if table := _TABLE.fullmatch(file):
            found.append(({"fer2013": 0, "icml_face_data": 1}.get(table[1], 3), name.count("/"), name))
        elif _ARCHIVE.fullmatch(file):
            found.append((2, name.count("/"), name))
    return min(found)[2] if found else None


def _having(names: list[str], *endings: str) -> list[str]:
    return [name for name in names if name.lower().endswith(endings)]


def _read_members(names: list[str], fetch: Callable[[str], BinaryIO], origin: str) -> Raw:
    """The best CSV of an archive or folder, or else its Parquet files, or else its pictures."""
    if table := _best(_having(names, ".csv")):
        with fetch(table) as stream:
            return _read_csv(stream, f"{origin}: {table}")
    if files := _having(names, ".parquet"):
        return _read_parquet(files, fetch, origin)
    pictures, lists = _having(names, *_PICTURES), _having(names, *_FERPLUS_LISTS)
    return _read_ferplus(lists, pictures, fetch, origin) if lists else _read_pictures(pictures, fetch, origin)


def _read_csv(stream: BinaryIO, name: str) -> Raw:
    """Read FER2013's CSV; columns in any order, spaces and quotes allowed; `name` for messages."""
    images, labels, usage = [], [], []
    try:
        rows = csv.DictReader(io.TextIOWrapper(stream, "utf-8-sig", newline=""), skipinitialspace=True, restval="")
        rows.fieldnames = [column.strip().lower() for column in rows.fieldnames or ()]
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "string or file could not be read")  # NumPy only warns of a word
            for row in rows:
                where = f"{name}, line {rows.line_num} (row {len(images)}, counted from 0)"
                pixels, label, split = row["pixels"], row["emotion"], row["usage"]
                if None in row:
                    raise DataError(f"{where}: {len(row[None])} values too many, expected {len(rows.fieldnames)}")
                images.append(_pixels(pixels, where))
                labels.append(_index(label, _EMOTIONS, "label", where))
                usage.append(_index(split, SPLITS, "Usage", where))
    except (KeyError, csv.Error, UnicodeDecodeError) as error:  # KeyError: no such column
        raise DataError(f"{name}: cannot be read as emotion,pixels,Usage ({error}); expected fer2013.csv or "
                        "icml_face_data.csv (Kaggle's train.csv and test.csv hold only parts)") from error
    if not images:
        raise DataError(f"{name}: holds no rows")
    return Raw(np.stack(images), np.array(labels, np.int8), np.array(usage, np.int8))


def _pixels(text: str, where: str) -> np.ndarray:
    """uint8 [48, 48] from decimal text."""
    try:
        pixels = np.fromstring(text, np.int64, sep=" ")
        if pixels.size == SIDE * SIDE and pixels.min() >= 0 and pixels.max() <= 255:
            return pixels.astype(np.uint8).reshape(SIDE, SIDE)
    except (ValueError, DeprecationWarning):
        pass
    words = text.split()
    if len(words) != SIDE * SIDE:
        raise DataError(f"{where}: {len(words)} pixels, expected {SIDE * SIDE}; a file cut short looks like this")
    place, word = next((i, w) for i, w in enumerate(words) if not re.fullmatch("[0-9]{1,9}", w) or int(w) > 255)
    raise DataError(f"{where}: pixel {place} is {word[:20]!r}, expected a whole number from 0 to 255")


def _index(text: str, allowed: tuple[str, ...], what: str, where: str) -> int:
    if text.strip() not in allowed:
        raise DataError(f"{where}: unknown {what} {text[:20]!r}, expected one of {', '.join(allowed)}")
    return allowed.index(text.strip())


def read_votes(path: Path) -> dict[str, np.ndarray]:
    """Read FER+'s fer2013new.csv: "votes" uint8 [N, 10] in the order VOTE_NAMES, "usage" int8 [N]."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, index_col=False, skip_blank_lines=False, encoding="utf-8-sig")
        table = table.rename(columns=str.strip)
        votes = table[[*VOTE_NAMES]].apply(pd.to_numeric, errors="coerce")
        usage = table["Usage"].str.strip().map({split: index for index, split in enumerate(SPLITS)})
    except (KeyError, ValueError, OSError, EOFError, lzma.LZMAError) as error:  # KeyError: no such column
        raise DataError(f"{path}: cannot be read as FER+'s fer2013new.csv ({error})") from error
    bad = np.flatnonzero(~votes.isin(range(256)).all(axis=1) | usage.isna())
    if bad.size:
        raise DataError(f"{path}, line {bad[0] + 2}: not a row of FER+: {','.join(map(str, table.iloc[bad[0]]))[:80]}")
    return {"votes": votes.to_numpy(np.uint8), "usage": usage.to_numpy(np.int8)}


def _read_pictures(names: list[str], fetch: Callable[[str], BinaryIO], origin: str, places: dict | None = None) -> Raw:
    """Pictures in train/<class>/ and test/<class>/, or at `places`; `fetch` is called in the order of `names`."""
    pictures = []
    for name in names:
        if place := _place(name, origin) if places is None else places.get(name):
            with fetch(name) as stream:
                pictures.append((*place, _decode(stream.read(1 << 20), f"{origin}: {name}")))  # it has a few kilobytes
    return _assemble(pictures, origin)


def _assemble(samples: list[tuple[int, int, str, int, np.ndarray]], origin: str) -> Raw:
    """Samples (split, number, path, class, image) in FER2013's order, where the numbers tell it."""
    if not samples:
        raise DataError(f"{origin}: holds no FER2013; {EXPECTED}")
    both = {_VALIDATION, _TEST} <= {sample[0] for sample in samples}
    meaning = {0: 0, 1: 1, 2: 2, _VALIDATION: 1 if both else _TEST, _TEST: 2 if both else _TEST}
    # By split, number and path, which is never twice the same.
    samples = sorted((meaning[split], *rest) for split, *rest in samples)
    # The numbers may count FER2013's rows or each split's; others, as in Kaggle's copy, name no row.
    whole = sorted(sample[1] for sample in samples) == list(range(len(samples)))
    if whole:
        samples.sort(key=lambda sample: sample[1])
    usage, numbers, _, labels, images = (np.array(column) for column in zip(*samples, strict=True))
    counted = whole or all((numbers[usage == s] == np.arange((usage == s).sum())).all() for s in range(_TEST))
    known = bool((usage < _TEST).all())
    for label in range(len(CLASSES)):  # test pictures of unknown split go half and half, class by class
        rows = np.flatnonzero((usage == _TEST) & (labels == label))
        usage[rows[0::2]], usage[rows[1::2]] = 1, 2
    return Raw(images, labels.astype(np.int8), usage.astype(np.int8), known, known and counted)


def _read_parquet(names: list[str], fetch: Callable[[str], BinaryIO], origin: str) -> Raw:
    """Rows of Parquet files; a row's own split wins over the one in its file's name (`data/train-00000-of-00001…`)."""
    samples, seen = [], Counter()
    for name in sorted(names):
        words = [_SPLIT_FOLDERS.get(word) for word in re.findall("[a-z]+", name.lower())]
        by_name = next((split for split in reversed(words) if split is not None), None)
        with fetch(name) as stream:
            for row, (label, pixels, split) in enumerate(_parquet_rows(stream, f"{origin}: {name}")):
                where = f"{origin}: {name}, row {row} (counted from 0)"
                place = _SPLIT_FOLDERS.get(str(split).lower(), by_name), _CLASS_FOLDERS.get(label.lower())
                if None in place:
                    raise DataError(f"{where}: cannot place label {label!r} of split {split!r}; expected one of "
                                    f"{', '.join(CLASSES)}, and Usage or a file name with train, validation or test")
                image = _decode(pixels, where) if isinstance(pixels, bytes) else _pixels(pixels, where)
                samples.append((place[0], seen[place[0]], name, place[1], image))
                seen[place[0]] += 1
    return _assemble(samples, origin)


def _parquet_rows(stream: BinaryIO, where: str) -> Iterator[tuple[str, str | bytes, str | None]]:
    """Label (class name or FER2013's number), pixels (text or an encoded picture) and split (or None) of each row.

    pyarrow is not among the requirements: 55 MB for a form few have, pandas loads it wherever it is installed, and
    beside TensorFlow it hangs on macOS (tensorflow #98563).
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{where}: Parquet is read with pyarrow, which is not installed: pip install pyarrow") from None
    try:
        table = parquet.read_table(io.BytesIO(stream.read()))
    except pyarrow.ArrowException as error:
        raise DataError(f"{where}: not a complete Parquet file ({str(error)[:100]})") from error
    stored = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    table = table.rename_columns([name.lower() for name in table.column_names])
    label, pixels, split = (next((name for name in names if name in table.column_names), None) for names in _COLUMNS)
    if label is None or pixels is None:
        has = ", ".join(table.column_names)
        raise DataError(f"{where}: must have columns emotion and pixels or label and image; has {has}")
    labels, splits = table[label].to_pylist(), table[split].to_pylist() if split else [None] * len(table)
    # Hugging Face's `datasets` stores the names of a column's numbers.
    if names := stored.get("info", {}).get("features", {}).get(label, {}).get("names"):
        labels = [names[number] if number >= 0 else "none" for number in labels]
    elif label != "emotion" and any(isinstance(value, int) for value in labels):
        # A folder loader sorts classes by name (Neutral = 4), FER2013 does not (Neutral = 6).
        raise DataError(f"{where}: column {label} holds numbers whose class names the file does not tell; call it "
                        "emotion if they are FER2013's (0 Angry … 6 Neutral)")  # fmt: skip
    return zip(map(str, labels), map(_content, table[pixels].to_pylist()), splits, strict=True)


def _content(value: Any) -> str | bytes:
    """Pixels as text or an encoded picture, from these, Hugging Face's {"bytes", "path"} or lists of numbers."""
    value = value.get("bytes") if isinstance(value, dict) else value
    return value if isinstance(value, str | bytes) else " ".join(map(str, np.ravel([] if value is None else value)))


def _read_ferplus(lists: list[str], names: list[str], fetch: Callable[[str], BinaryIO], origin: str) -> Raw:
    """FER+'s own folders FER2013Train, …Valid and …Test; the labels are made of its votes, which lie in label.csv."""
    votes, places = {}, {}
    for name in lists:
        with fetch(name) as stream:
            for row in csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline="")):
                try:  # the picture's name, the face's box, ten votes
                    votes[_folder(name), row[0]] = np.array(row[2:], np.uint8).reshape(len(VOTE_NAMES))
                except (ValueError, IndexError, OverflowError) as error:
                    raise DataError(f"{origin}: {name}: not a row of FER+: {','.join(row)[:80]}") from error
    for name in names:
        key = _folder(name), PurePosixPath(name).name
        best = int(votes[key].argmax()) if key in votes else len(VOTE_CLASSES)
        if best < len(VOTE_CLASSES):  # no class stands for contempt, unknown and "not a face"
            places[name] = _SPLIT_FOLDERS[key[0]], -1, name, VOTE_CLASSES[best]
    raw = _read_pictures(names, fetch, origin, places)
    order = [PurePosixPath(name) for _, _, name, _ in sorted(places.values())]
    return raw._replace(votes=np.array([votes[_folder(name), name.name] for name in order]))


def _folder(path: str | PurePosixPath) -> str:
    return PurePosixPath(path).parent.name.lower()


def _place(path: str, origin: str) -> tuple[int, int, str, int] | None:
    """A picture's split (by its name or the folder above), number (-1 = none), path and class, or None."""
    above, folder, file = ("", "", *PurePosixPath(path).parts)[-3:]
    named = re.match("training|publictest|privatetest", file.lower())
    split, label = _SPLIT_FOLDERS.get(named[0] if named else above.lower()), _CLASS_FOLDERS.get(folder.lower())
    if label is None and split is None:
        return None
    if label is None or split is None:
        raise DataError(f"{origin}: cannot place {path}; expected train/<class>/ or test/<class>/ with one of "
                        f"{', '.join(CLASSES).lower()}")  # fmt: skip
    digits = re.findall(r"\d+", PurePosixPath(file).stem)
    return split, int(digits[-1]) if digits else -1, path, label


def _decode(data: bytes, where: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.size == (SIDE, SIDE):  # known from the header: nothing large is ever decoded
                # Pillow would clip 16 bits; some such files hold values of 8 bits all the same.
                deep = np.asarray(picture if picture.mode.startswith("I") else picture.convert("L"))
                return (deep >> 8 if deep.max() > 255 else deep).astype(np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: unreadable picture ({str(error)[:80]})") from error
    raise DataError(f"{where}: the picture is {' × '.join(map(str, picture.size))}, expected {SIDE} × {SIDE}")
