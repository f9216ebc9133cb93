"""A network's large kernels stored once, as float16, inside its ONNX file.

tf2onnx folds BatchNorm into the convolution before it, so an exported weight is the trained kernel times one factor a
channel. Where float16 holds the trained kernel exactly (recorded runs are stored so), the file keeps kernel and factors
apart: `float16 kernel → Cast → Mul`, which ONNX Runtime folds again when it opens the file. That halves the file
without changing a result, and `weights_file` reads the kernels back from it instead of storing them a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["PREFIX", "halve", "kernels_in", "widen"]

PREFIX = "keras/"  # of an initializer that holds a Keras kernel; its name in the weights file follows
SMALLEST = 4096  # numbers; less is not worth two more nodes
TOLERANCE = 1e-5  # of the largest weight: float32's rounding in tf2onnx's folding
# Axes of Keras' kernel in ONNX's order: [h, w, in, out] → [out, in, h, w], and depthwise [h, w, in, 1] → [in, 1, h, w].
LAYOUTS = ((3, 2, 0, 1), (2, 3, 0, 1))


def _in_onnx_order(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The Keras kernel as ONNX lays it out, None when it cannot have that shape."""
    if kernel.ndim != 4:
        return None
    turned = (kernel.transpose(axes) for axes in LAYOUTS)
    return next((value for value in turned if value.shape == shape), None)


def _factors(weight: np.ndarray, kernel: np.ndarray) -> np.ndarray | None:
    """float32 [out, 1, 1, 1] with `weight` = `kernel` × factors, None when there are none."""
    rows, base = weight.reshape(len(weight), -1).astype(np.float64), kernel.reshape(len(kernel), -1).astype(np.float64)
    norm = (base * base).sum(1)
    factors = np.divide((rows * base).sum(1), norm, out=np.zeros_like(norm), where=norm > 0).astype(np.float32)
    close = np.abs(rows[:1] - base[:1] * factors[:1, None]).max() <= TOLERANCE * np.abs(weight).max()
    if not close or np.abs(rows - base * factors[:, None]).max() > TOLERANCE * np.abs(weight).max():
        return None
    return factors.reshape(-1, *[1] * (weight.ndim - 1))


def halve(model: Any, kernels: Mapping[str, np.ndarray]) -> list[str]:
    """Store in an onnx.ModelProto, in place, the given kernels as float16 wherever its weights are made of them.

    Parameters
    ----------
    model : as tf2onnx left it or simplified; weights of convolutions are float32 initializers.
    kernels : name → float32 kernel as Keras holds it. Those that float16 does not hold exactly are passed over.

    Returns
    -------
    Names of the kernels that the model holds now. What it computes stays the same up to float32's rounding.
    """
    import onnx

    free = {
        name: value for name, value in kernels.items()
        if value.size >= SMALLEST and np.array_equal(value.astype(np.float16).astype(np.float32), value)
    }
    graph, stored, first = model.graph, [], []
    for item in [item for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT]:
        weight = onnx.numpy_helper.to_array(item)
        found = _kernel_of(weight, free) if weight.size >= SMALLEST and weight.ndim == 4 else None
        if found is None:
            continue
        name, kernel, factors = found
        free.pop(name)
        stored.append(name)
        half = onnx.numpy_helper.from_array(np.ascontiguousarray(kernel.astype(np.float16)), PREFIX + name)
        plain = (factors == 1).all()
        whole = item.name if plain else f"{PREFIX}{name}/float32"
        first.append(onnx.helper.make_node("Cast", [half.name], [whole], to=onnx.TensorProto.FLOAT))
        graph.initializer.append(half)
        if not plain:
            graph.initializer.append(onnx.numpy_helper.from_array(factors, f"{PREFIX}{name}/factors"))
            first.append(onnx.helper.make_node("Mul", [whole, f"{PREFIX}{name}/factors"], [item.name]))
        graph.initializer.remove(item)
    nodes = first + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return stored


def _kernel_of(weight: np.ndarray, kernels: Mapping[str, np.ndarray]) -> tuple[str, np.ndarray, np.ndarray] | None:
    for name, value in kernels.items():
        kernel = _in_onnx_order(value, weight.shape)
        if kernel is not None and (factors := _factors(weight, kernel)) is not None:
            return name, kernel, factors
    return None


def widen(model: Any) -> None:
    """Undo `halve` in an onnx.ModelProto, in place: its kernels are float32 initializers again, factors applied."""
    import onnx

    graph = model.graph
    known = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    for node in list(graph.node):
        if not (node.op_type in ("Cast", "Mul") and node.input[0].startswith(PREFIX) and set(node.input) <= set(known)):
            continue
        whole, *factors = (known[name].astype(np.float32) for name in node.input)
        known[node.output[0]] = value = whole * factors[0] if factors else whole
        graph.initializer.append(onnx.numpy_helper.from_array(value, node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)
    onnx.checker.check_model(model)


def kernels_in(path: str | Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The kernels that an ONNX file holds (see `halve`), among those named, in Keras' layout.

    Parameters
    ----------
    path : an `.onnx` file.
    shapes : name → shape of the Keras weight.

    Returns
    -------
    name → float16 array of that shape. A kernel that has another shape in the file is left out.
    """
    import onnx

    found = {}
    for item in onnx.load(str(path)).graph.initializer:
        name = item.name.removeprefix(PREFIX)
        if not item.name.startswith(PREFIX) or name not in shapes:
            continue
        value = onnx.numpy_helper.to_array(item)
        turned = (value.transpose(np.argsort(axes)) for axes in LAYOUTS)
        kernel = next((each for each in turned if each.shape == tuple(shapes[name])), None)
        if kernel is not None:
            found[name] = kernel
    return found
