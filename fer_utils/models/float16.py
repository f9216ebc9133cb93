"""Trained weights as float16, stored once: the large kernels inside the ONNX file, the rest in `model.weights.h5`.

tf2onnx folds BatchNorm into the convolution before it, so an exported weight is the trained kernel times one factor a
channel. `halve` keeps kernel and factors apart, `float16 kernel → Cast → Mul`, which ONNX Runtime folds again when it
opens the file: half the size, the same results. `thin` then takes these kernels out of the weights file, and
`read_weights` fetches them from the ONNX file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_utils import paths

if TYPE_CHECKING:
    import keras

PREFIX = "keras/"  # of an initializer that holds a Keras kernel; its name in the weights file follows
SMALLEST = 4096  # numbers; less is not worth two more nodes
TOLERANCE = 1e-5  # of the largest weight: float32's rounding in tf2onnx's folding
# Axes of Keras' kernel in ONNX's order: [h, w, in, out] → [out, in, h, w], and depthwise [h, w, in, 1] → [in, 1, h, w].
LAYOUTS = ((3, 2, 0, 1), (2, 3, 0, 1))


def halve(model: Any, kernels: Mapping[str, np.ndarray]) -> list[str]:
    """Store float32 kernels (by name) in an onnx.ModelProto as float16, in place, where its weights are made of them.

    Those that float16 does not hold exactly are passed over. What the model computes stays the same up to float32's
    rounding. Returns the names of those that it holds now.
    """
    import onnx

    free = {name: value for name, value in kernels.items()
            if value.size >= SMALLEST and np.array_equal(value.astype(np.float16).astype(np.float32), value)}
    graph, stored = model.graph, []
    for item in [item for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT]:
        weight = onnx.numpy_helper.to_array(item)
        matches = ((name, _match(weight, value)) for name, value in free.items() if value.size == weight.size)
        name, found = next((match for match in matches if match[1]), ("", None))
        if not found:
            continue
        del free[name]
        stored.append(name)
        half, whole, scale = (f"{PREFIX}{name}{part}" for part in ("", "/float32", "/factors"))
        graph.node.insert(0, onnx.helper.make_node("Mul", [whole, scale], [item.name]))
        graph.node.insert(0, onnx.helper.make_node("Cast", [half], [whole], to=onnx.TensorProto.FLOAT))
        graph.initializer.remove(item)
        graph.initializer.extend(map(onnx.numpy_helper.from_array, found, (half, scale)))
    onnx.checker.check_model(model)
    return stored


def _match(weight: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(float16 kernel in ONNX's order, float32 factors [out, 1, 1, 1]) whose product is `weight`, None if none is."""
    orders = (value.transpose(axes) for axes in LAYOUTS if value.ndim == 4)
    kernel = next((order for order in orders if order.shape == weight.shape), None)
    if kernel is None:
        return None
    rows, base = (each.reshape(len(each), -1).astype(np.float64) for each in (weight, kernel))
    factors = ((rows * base).sum(1) / np.maximum((base * base).sum(1), 1e-300)).astype(np.float32)
    if np.abs(rows - base * factors[:, None]).max() > TOLERANCE * np.abs(weight).max():
        return None
    return np.ascontiguousarray(kernel.astype(np.float16)), factors.reshape(-1, 1, 1, 1)


def kernels_in(path: str | Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The kernels that an ONNX file holds (see `halve`), float16 in Keras' layout, among those named and so shaped."""
    import onnx

    held = {item.name.removeprefix(PREFIX): item for item in onnx.load(str(path)).graph.initializer}
    arrays = {name: onnx.numpy_helper.to_array(held[name]) for name in shapes if name in held}
    orders = ((name, array.transpose(np.argsort(axes))) for axes in reversed(LAYOUTS) for name, array in arrays.items())
    return {name: order for name, order in orders if order.shape == shapes[name]}


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """Every float weight by a name that does not change with the process: its position and its path's last part."""
    weights = [weight for weight in model.weights if "seed_generator" not in weight.path]
    return {f"{index:04d}/{weight.path.rsplit('/', 1)[-1]}": weight for index, weight in enumerate(weights)}


def write_weights(model: keras.Model, path: str | Path) -> None:
    """Write every weight of a model to an HDF5 file as float16, in one step.

    Arrays that float16 cannot hold (beyond ± 65,504, as a BatchNorm variance may be) stay float32.
    """
    arrays = {name: np.asarray(weight) for name, weight in named_weights(model).items()}
    limit = np.finfo(np.float16).max
    fits = {name: np.abs(value).max(initial=0) < limit for name, value in arrays.items()}
    _write(path, {name: value.astype(np.float16 if fits[name] else np.float32) for name, value in arrays.items()})


def _write(path: str | Path, arrays: Mapping[str, np.ndarray], **attributes: str) -> None:
    import h5py

    with paths.atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for name in sorted(arrays):
            file[name] = arrays[name]
        file.attrs.update(attributes)


def _read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """A weights file's arrays by name, and its attributes."""
    import h5py

    with h5py.File(path, "r") as file:
        return {f"{a}/{b}": item[...] for a, group in file.items() for b, item in group.items()}, dict(file.attrs)


def thin(path: str | Path, onnx_path: str | Path, held: Collection[str]) -> None:
    """Take the arrays called `held` out of a weights file: the ONNX file holds them, two folders above."""
    left = {name: value for name, value in _read(path)[0].items() if name not in set(held)}
    digest = hashlib.sha256(Path(onnx_path).read_bytes()).hexdigest()
    _write(path, left, kernels_in=Path(onnx_path).name, sha256=digest)


def read_weights(model: keras.Model, path: str | Path) -> None:
    """Load a file of `write_weights` into a model, with the kernels that `thin` left to the ONNX file in `models/`.

    ValueError for a file of another architecture, or one whose ONNX file is missing or another one.
    """
    named, (arrays, attributes) = named_weights(model), _read(path)
    needed = {name: tuple(weight.shape) for name, weight in named.items()}
    if "kernels_in" in attributes:
        source = Path(path).parents[2] / attributes["kernels_in"]
        if not source.is_file() or hashlib.sha256(source.read_bytes()).hexdigest() != attributes["sha256"]:
            raise ValueError(f"path: {path} needs the very {source} that it was exported to; restore it with git")
        arrays |= kernels_in(source, needed)
    if (found := {name: value.shape for name, value in arrays.items()}) != needed:
        differing = min(set(found.items()) ^ set(needed.items()))[0]
        shapes = f"{differing} {found.get(differing, 'missing')}, the model {needed.get(differing, 'none')}"
        raise ValueError(f"path: must hold the weights of {model.name}; {path} has {shapes}")
    for name, weight in named.items():
        weight.assign(arrays[name].astype(np.float32))
