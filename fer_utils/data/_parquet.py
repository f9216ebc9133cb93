"""FER2013 in Parquet files, as Hugging Face and pandas write them.

Needs pyarrow, which is not among the requirements: 55 MB for a form few have, pandas loads it wherever it is installed,
and beside TensorFlow it hangs on macOS (tensorflow #98563).
"""

import io
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from fer_utils.data.classes import DataError

# Names of the columns with labels, pixels and splits, the preferred one first.
_COLUMNS = (("emotion", "label", "labels"), ("pixels", "image", "img", "img_bytes"), ("usage", "split"))


def rows(stream: BinaryIO, where: str) -> Iterator[tuple[str, str | bytes, str | None]]:
    """Label, pixels and split of each row; `where` for messages.

    A label is a class's name, or FER2013's number where the column is called `emotion`; pixels are decimal text or an
    encoded picture; the split is None without such a column. DataError when pyarrow is missing, the file is damaged or
    has other columns.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{where}: Parquet is read with pyarrow, which is not installed: pip install pyarrow") from None
    try:
        file = parquet.ParquetFile(io.BytesIO(stream.read()))
        there = {name.lower(): name for name in file.schema_arrow.names}
        label, pixels, split = (next((there[name] for name in names if name in there), None) for names in _COLUMNS)
        if label is None or pixels is None:
            raise DataError(f"{where}: must have columns emotion and pixels or label and image; has {', '.join(there)}")
        classes = _class_names(file, label)
        for batch in file.iter_batches(columns=[name for name in (label, pixels, split) if name]):
            for row in batch.to_pylist():
                yield _label(row[label], classes, label, where), _content(row[pixels]), row[split] if split else None
    except pyarrow.ArrowException as error:
        raise DataError(f"{where}: not a complete Parquet file ({str(error)[:100]})") from error


def _class_names(file: Any, column: str) -> list[str]:
    """The names that Hugging Face's `datasets` stores for a column of numbers; empty without."""
    stored = json.loads((file.schema_arrow.metadata or {}).get(b"huggingface", b"{}"))
    return stored.get("info", {}).get("features", {}).get(column, {}).get("names") or []


def _label(value: Any, classes: list[str], column: str, where: str) -> str:
    if isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    if isinstance(value, int) and column.lower() != "emotion":
        # A folder loader sorts classes by name (Neutral = 4), FER2013 does not (Neutral = 6).
        raise DataError(f"{where}: column {column} holds numbers whose class names the file does not tell; call it "
                        "emotion if they are FER2013's (0 Angry … 6 Neutral)")  # fmt: skip
    return str(value)


def _content(value: Any) -> str | bytes:
    """Pixels as text or an encoded picture, from these, Hugging Face's {"bytes", "path"} or lists of numbers."""
    value = value.get("bytes") if isinstance(value, dict) else value
    return value if isinstance(value, str | bytes) else " ".join(map(str, np.ravel([] if value is None else value)))
