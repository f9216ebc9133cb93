"""One small random data set in every form in which FER2013 is handed around."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from fer_utils.data import CLASSES, SPLITS, VOTE_NAMES
from fer_utils.data.readers import Raw

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
    Kaggle; "none": no split in the name.
    """
    files = {}
    seen = [0, 0, 0]
    for row, (image, label, split) in enumerate(zip(raw.images, raw.labels, raw.usage, strict=True)):
        number = {"file": row, "split": seen[split], "other": 10_000_000 + 37 * row, "none": row}[naming]
        seen[split] += 1
        folder = "test" if split else "train"
        name = f"im{number}" if naming == "none" else f"{SPLITS[split]}_{number}"
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
    mode = {".gz": "w:gz", ".xz": "w:xz", ".tgz": "w:gz"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


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
    "pictures in a zip": lambda folder, raw: write_zip(folder / "archive.zip", picture_files(raw, "other")),
    "pictures in a tar": lambda folder, raw: write_tar(folder / "fer2013.tar.gz", {
        f"fer2013/{name}": content for name, content in picture_files(raw, "split").items()}),
}
"""Name of the form → function(folder, raw) that writes it and returns its path."""


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
