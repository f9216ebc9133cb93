"""One small random data set in every form in which FER2013 is handed around."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from fer_utils.data import CLASSES, SPLITS, VOTE_NAMES
from fer_utils.data.readers import Raw

FERPLUS_FOLDERS = ("FER2013Train", "FER2013Valid", "FER2013Test")
VOTE_OF_CLASS = (4, 5, 6, 1, 3, 2, 0)  # FER+'s column for each of FER2013's classes


def small(n: int = 30, seed: int = 0) -> Raw:
    """Random images in fer2013.csv's order of splits: 60 % Training, 20 % PublicTest, 20 % PrivateTest."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (n, 48, 48)).astype(np.uint8)
    images[0] = np.arange(2304).reshape(48, 48) % 256  # every value from 0 to 255, of one to three digits
    split = np.repeat([0, 1, 2], [n - 2 * (n // 5), n // 5, n // 5]).astype(np.int8)
    return Raw(images, np.arange(n, dtype=np.int8) % 7, split)


def rows(raw: Raw) -> list[tuple[str, str, str]]:
    """(emotion, pixels, Usage) as text."""
    return [(str(label), " ".join(map(str, image.ravel())), SPLITS[split])
            for image, label, split in zip(raw.images, raw.labels, raw.usage, strict=True)]


def csv_text(raw: Raw, *, newline: str = "\n") -> bytes:
    return newline.join(["emotion,pixels,Usage", *(",".join(r) for r in rows(raw)), ""]).encode()


def icml_text(raw: Raw) -> bytes:
    return "\n".join(["emotion, Usage, pixels", *(f"{e},{u},{p}" for e, p, u in rows(raw)), ""]).encode()


def png(image: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def picture_files(raw: Raw, naming: str) -> dict[str, bytes]:
    """Files of the folder form by relative path, lossless.

    naming "file": numbers count all rows; "split": each split's; "other": large numbers, as in the data set on
    Kaggle; "none": no split in the name; "folders": no split in the name, `validation` and `test` side by side.
    """
    files = {}
    seen = [0, 0, 0]
    for row, (image, label, split) in enumerate(zip(raw.images, raw.labels, raw.usage, strict=True)):
        number = {"file": row, "split": seen[split], "other": 10_000_000 + 37 * row}.get(naming, row)
        seen[split] += 1
        folder = ("train", "validation" if naming == "folders" else "test", "test")[split]
        name = f"im{number}" if naming in ("none", "folders") else f"{SPLITS[split]}_{number}"
        files[f"{folder}/{CLASSES[label].lower()}/{name}.png"] = png(image)
    return files


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    mode = {".gz": "w:gz", ".xz": "w:xz", ".tgz": "w:gz"}.get(path.suffix.lower(), "w")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_parquet(path: Path, columns: dict[str, list], class_names: list[str] | None = None) -> Path:
    """A Parquet file as pandas writes it, or as Hugging Face does: with the names of the `label` column's numbers."""
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table(columns)
    if class_names:
        features = {"label": {"names": class_names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
    return path


def parquet_files(folder: Path, raw: Raw, names: tuple[str, str, str] = ("train", "validation", "test")) -> Path:
    """Hugging Face's layout: a file a split, pictures as PNG, classes numbered in alphabetical order."""
    order = sorted(CLASSES)
    for split, name in enumerate(names):
        rows = np.flatnonzero(raw.usage == split)
        write_parquet(folder / "data" / f"{name}-00000-of-00001-5eab84e1c6a2fc27.parquet", {
            "image": [{"bytes": png(raw.images[row]), "path": f"{row}.png"} for row in rows],
            "label": [order.index(CLASSES[raw.labels[row]]) for row in rows]}, [name.lower() for name in order])
    return folder


def ferplus_files(raw: Raw) -> dict[str, bytes]:
    """FER+'s own folders, by relative path; the last image of each split is "not a face"."""
    files, lists = {}, ["", "", ""]
    for row, (image, label, split) in enumerate(zip(raw.images, raw.labels, raw.usage, strict=True)):
        votes = ["0"] * 10
        votes[VOTE_OF_CLASS[label]], votes[7] = "7", "3"
        if row + 1 == len(raw.usage) or raw.usage[row + 1] != split:
            votes = ["0"] * 9 + ["10"]
        files[f"{FERPLUS_FOLDERS[split]}/fer{row:07d}.png"] = png(image)
        lists[split] += f'fer{row:07d}.png,"(0, 0, 48, 48)",{",".join(votes)}\n'
    return files | {f"{folder}/label.csv": text.encode() for folder, text in zip(FERPLUS_FOLDERS, lists, strict=True)}


def write_votes(path: Path, raw: Raw) -> Path:
    """FER+ votes that agree with the labels."""
    lines = [f"Usage,Image name,{','.join(VOTE_NAMES)}"]
    for row, (label, split) in enumerate(zip(raw.labels, raw.usage, strict=True)):
        votes = np.zeros(10, int)
        votes[VOTE_OF_CLASS[label]], votes[7] = 8, 2
        lines.append(f"{SPLITS[split]},fer{row:07d}.png,{','.join(map(str, votes))}")
    path.write_text("\n".join(lines) + "\n")
    return path


FORMS = {
    "fer2013.csv": lambda folder, raw: _written(folder / "fer2013.csv", csv_text(raw)),
    "crlf.csv": lambda folder, raw: _written(folder / "fer2013.csv", csv_text(raw, newline="\r\n")),
    "bom.csv": lambda folder, raw: _written(folder / "fer2013.csv", b"\xef\xbb\xbf" + csv_text(raw)),
    "fer2013.csv.gz": lambda folder, raw: _written(folder / "fer2013.csv.gz", gzip.compress(csv_text(raw))),
    "fer2013.csv.xz": lambda folder, raw: _written(folder / "fer2013.csv.xz", lzma.compress(csv_text(raw))),
    "fer2013.csv.zip": lambda folder, raw: write_zip(folder / "fer2013.csv.zip", {"fer2013.csv": csv_text(raw)}),
    "fer2013.tar.gz": lambda folder, raw: write_tar(folder / "fer2013.tar.gz", {
        "fer2013/fer2013.bib": b"@book{}", "fer2013/fer2013.csv": csv_text(raw), "fer2013/README": b"read me"}),
    "fer2013.tar": lambda folder, raw: write_tar(folder / "fer2013.tar", {"fer2013/fer2013.csv": csv_text(raw)}),
    "icml_face_data.csv": lambda folder, raw: _written(folder / "icml_face_data.csv", icml_text(raw)),
    "icml.csv.zip": lambda folder, raw: write_zip(folder / "icml_face_data.csv.zip",
                                                  {"icml_face_data.csv": icml_text(raw)}),
    "pictures, numbered by file": lambda folder, raw: write_folder(folder, picture_files(raw, "file")),
    "pictures, numbered by split": lambda folder, raw: write_folder(folder, picture_files(raw, "split")),
    "pictures, as on Kaggle": lambda folder, raw: write_folder(folder, picture_files(raw, "other")),
    "pictures, validation beside test": lambda folder, raw: write_folder(folder, picture_files(raw, "folders")),
    "fer2013.CSV in a zip": lambda folder, raw: write_zip(folder / "archive.ZIP", {"FER2013.CSV": csv_text(raw)}),
    "fer2013.CSV in a tar": lambda folder, raw: write_tar(folder / "fer2013.TAR.GZ", {"a/fer2013.CSV": csv_text(raw)}),
    "pictures in a zip": lambda folder, raw: write_zip(folder / "archive.zip", picture_files(raw, "other")),
    "pictures in a tar": lambda folder, raw: write_tar(folder / "fer2013.tar.gz", {
        f"fer2013/{name}": content for name, content in picture_files(raw, "split").items()}),
}
"""Name of the form → function(folder, raw) that writes it and returns its path."""


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
