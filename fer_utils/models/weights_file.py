"""Trained weights on disk as float16: half the size of Keras' own files, the same file for every backbone.

Once a run is exported, its ONNX file holds the large kernels, as float16 too (`half_kernels`); `thin` then takes them
out of the weights file, and `read_weights` fetches them from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import paths
from fer_utils.models import float16 as half_kernels

if TYPE_CHECKING:
    import keras

__all__ = ["named_weights", "read_weights", "thin", "write_weights"]


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """Every float weight by a name that does not change with the process: its position and its path's last part."""
    weights = [weight for weight in model.weights if "seed_generator" not in weight.path]
    return {f"{index:04d}/{weight.path.rsplit('/', 1)[-1]}": weight for index, weight in enumerate(weights)}


def write_weights(model: keras.Model, path: str | Path) -> None:
    """Write every weight of `model` to an HDF5 file as float16.

    Arrays that float16 cannot hold (beyond ± 65,504, as a BatchNorm variance may be) stay float32.
    """
    import h5py

    with paths.atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for name, weight in named_weights(model).items():
            value = np.asarray(weight)
            half = np.abs(value).max(initial=0) < np.finfo(np.float16).max
            file.create_dataset(name, data=value.astype(np.float16 if half else np.float32))


def _arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """A weights file's arrays by name, and its attributes."""
    import h5py

    found: dict[str, np.ndarray] = {}
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: found.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None
        )
        return found, dict(file.attrs)


def thin(path: str | Path, onnx_path: str | Path, held: Collection[str]) -> None:
    """Take the arrays called `held` out of a weights file: the ONNX file holds them. A kill loses nothing."""
    import h5py

    path, onnx_path = Path(path), Path(onnx_path)
    arrays, _ = _arrays(path)
    with paths.atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for name in sorted(set(arrays) - set(held)):
            file.create_dataset(name, data=arrays[name])
        file.attrs["kernels_in"] = onnx_path.name
        file.attrs["sha256"] = hashlib.sha256(onnx_path.read_bytes()).hexdigest()


def read_weights(model: keras.Model, path: str | Path) -> None:
    """Load a file of `write_weights` into `model`, with the kernels that `thin` left to the ONNX file in models/.

    Raises ValueError when names or shapes differ, or when that ONNX file is missing or another one.
    """
    path, named = Path(path), named_weights(model)
    arrays, attributes = _arrays(path)
    if "kernels_in" in attributes:
        source = path.parents[2] / attributes["kernels_in"]
        if not source.is_file() or hashlib.sha256(source.read_bytes()).hexdigest() != attributes["sha256"]:
            raise ValueError(f"path: {path} needs the very {source} that it was exported to; restore it with git")
        arrays |= half_kernels.kernels_in(source, {name: tuple(weight.shape) for name, weight in named.items()})
    if sorted(arrays) != sorted(named):
        raise ValueError(f"path: {path} holds {len(arrays)} arrays that are not those of {model.name} ({len(named)})")
    for name, weight in named.items():
        if arrays[name].shape != tuple(weight.shape):
            raise ValueError(
                f"path: {name} in {path} has shape {arrays[name].shape}; {model.name} needs {tuple(weight.shape)}"
            )
        weight.assign(arrays[name].astype(np.float32))
