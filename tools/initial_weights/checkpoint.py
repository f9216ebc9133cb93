"""Reads PyTorch's checkpoints (the form before the zip files of 2020) without PyTorch."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import IO

import numpy as np
from numpy.lib.stride_tricks import as_strided

__all__ = ["read_checkpoint"]

MAGIC = 0x1950A86A20F9469CFC6C  # the first of the five pickles that torch.save wrote
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def _tensor(storage: np.ndarray, offset: int, shape: tuple[int, ...], steps: tuple[int, ...], *_: object) -> np.ndarray:
    """A view of `storage`, in any order of axes; one that reaches outside is refused."""
    last = offset + sum((size - 1) * step for size, step in zip(shape, steps, strict=True))
    if not 0 <= offset <= last < len(storage) or min(steps, default=0) < 0:
        raise pickle.UnpicklingError(f"checkpoint: an array of shape {shape} reaches outside its storage")
    return as_strided(storage[offset:], shape, [step * storage.itemsize for step in steps])


class _Unpickler(pickle.Unpickler):
    """Builds dictionaries of arrays; every other global that a pickle asks for is refused."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"checkpoint: must hold arrays alone; it asks for {module}.{name}")

    def persistent_load(self, key: tuple) -> np.ndarray:
        _, dtype, name, _, size, _ = key  # "storage", type, name, device, number of elements, view
        return self.storages.setdefault(name, np.empty(size, dtype))


def read_checkpoint(file: IO[bytes]) -> dict[str, np.ndarray]:
    """The arrays of a state dict by PyTorch's names.

    Raises
    ------
    pickle.UnpicklingError when the file is no such checkpoint, or asks for anything but arrays.
    """
    if _Unpickler(file).load() != MAGIC:
        raise pickle.UnpicklingError("checkpoint: must be what torch.save wrote before version 1.6")
    _Unpickler(file).load(), _Unpickler(file).load()  # protocol version, the writer's sizes of types
    unpickler = _Unpickler(file)
    state = unpickler.load()
    # Behind the pickles: each storage's number of elements, then its bytes, which the arrays above are views of.
    for name in _Unpickler(file).load():
        storage = unpickler.storages[name]
        if int.from_bytes(file.read(8), "little") != len(storage) or file.readinto(storage) != storage.nbytes:
            raise pickle.UnpicklingError(f"checkpoint: storage {name} must hold {len(storage)} elements")
    return dict(state)
