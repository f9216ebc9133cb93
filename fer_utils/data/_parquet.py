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
    """Label (class name or FER2013's number), pixels (text or an encoded picture) and split (or None) of each row.

    DataError, with `where`, when pyarrow is missing, the file is damaged or has other columns.
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
