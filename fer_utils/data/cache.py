"""Parsed data on disk, so that only the first load of a file takes seconds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fer_utils import paths

__all__ = ["cached", "stamp"]

_FORMAT = 1  # part of every key: raise it when the readers change what they return


def stamp(path: Path) -> str:
    """A text that changes whenever a file, or any file below a folder, changes its name, size or time."""
    if path.is_file():
        state = path.stat()
        return f"{state.st_size} {state.st_mtime_ns}"
    total = hashlib.blake2b(digest_size=16)
    for folder, folders, _ in os.walk(path):
        folders.sort()
        with os.scandir(folder) as entries:
            files = sorted((e for e in entries if e.is_file()), key=lambda e: e.name)
        for entry in files:
            state = entry.stat()
            total.update(f"{entry.path} {state.st_size} {state.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def cached(path: Path, state: str, build: Callable[[], dict[str, np.ndarray]], *,
           cache: bool = True) -> dict[str, np.ndarray]:
    """What `build` makes of `path`, from the cache while `state` (see `stamp`) stays the same.

    Stored uncompressed, read with pickle off. A broken cache is built anew; a cache that cannot be written is no error.
    """
    if not cache:
        return build()
    key = hashlib.blake2b(f"{_FORMAT} {path} {state}".encode(errors="surrogateescape"), digest_size=12).hexdigest()
    try:
        with np.load(paths.cache_dir() / f"data_{key}.npz", allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception:  # whatever is wrong with a cache, the answer is to build it again
        arrays = build()
    try:
        with paths.atomic(paths.cache_dir() / f"data_{key}.npz") as temporary:
            np.savez(temporary, **arrays)
    except OSError:  # a full or read-only disk costs time, not the result
        pass
    return arrays
