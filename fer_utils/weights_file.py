"""Trained weights on disk as float16: half the size of Keras' own files, the same file for every backbone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import paths

if TYPE_CHECKING:
    import keras

__all__ = ["read_weights", "write_weights"]


def _named(model: keras.Model) -> dict[str, object]:
    """Every float weight by a name that does not change with the process: its position and its path's last part."""
    weights = [weight for weight in model.weights if "seed_generator" not in weight.path]
    return {f"{index:04d}/{weight.path.rsplit('/', 1)[-1]}": weight for index, weight in enumerate(weights)}


def write_weights(model: keras.Model, path: str | Path) -> None:
    """Write every weight of `model` to an HDF5 file as float16.

    Arrays that float16 cannot hold (beyond ± 65,504, as a BatchNorm variance may be) stay float32.
    """
    import h5py

    with paths.atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for name, weight in _named(model).items():
            value = np.asarray(weight)
            half = np.abs(value).max(initial=0) < np.finfo(np.float16).max
            file.create_dataset(name, data=value.astype(np.float16 if half else np.float32))


def read_weights(model: keras.Model, path: str | Path) -> None:
    """Load a file of `write_weights` into `model`; ValueError when names or shapes differ."""
    import h5py

    named = _named(model)
    with h5py.File(path, "r") as file:
        stored: list[str] = []
        file.visititems(lambda name, item: stored.append(name) if isinstance(item, h5py.Dataset) else None)
        if sorted(stored) != sorted(named):
            raise ValueError(
                f"path: {path} holds {len(stored)} arrays that are not those of {model.name} ({len(named)})"
            )
        for name, weight in named.items():
            value = file[name][...]
            if value.shape != tuple(weight.shape):
                raise ValueError(
                    f"path: {name} in {path} has shape {value.shape}; {model.name} needs {tuple(weight.shape)}"
                )
            weight.assign(value.astype(np.float32))
