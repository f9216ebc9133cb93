"""What tf2onnx and onnxslim leave undone on our four backbones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["bind_constants", "fuse_hard_sigmoid", "simplify", "vectors_for_scalars"]

ELEMENTWISE = ("Add", "AddV2", "Mul", "Sub")


def vectors_for_scalars(graph: Any, operations: list[Any]) -> list[Any]:
    """A rewriter for `tf2onnx.convert`: scalar constants of element-wise nodes become vectors of length 1.

    tf2onnx 1.17 gives up removing transposes as soon as it meets a scalar Add after a convolution (the `x + 3` of
    hard-sigmoid): MobileNetV3 would keep 124 Transpose nodes.
    """
    for node in operations:
        if node.type not in ELEMENTWISE:
            continue
        for index, source in enumerate(node.inputs):
            if not source.is_const() or np.ndim(source.get_tensor_value(as_list=False)):
                continue
            if len(graph.get_shape(node.input[1 - index]) or []) > 1:
                value = np.reshape(source.get_tensor_value(as_list=False), 1)
                vector = graph.make_const(f"{node.name}_vector{index}", value)
                graph.replace_input(node, node.input[index], vector.output[0], index)
    return operations


def bind_constants(model: Any, values: Mapping[str, np.ndarray]) -> None:
    """Give inputs that are constants their values (by name), in place: they are no inputs any more.

    tf2onnx lists tensors that a Keras layer holds outside its weights, such as Normalization's mean, as inputs.
    """
    import onnx

    for item in [item for item in model.graph.input if item.name in values]:
        model.graph.input.remove(item)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values[item.name]), item.name))


def simplify(model: Any) -> Any:
    """A smaller onnx.ModelProto that computes the same: constants folded, pads merged, hard-sigmoid in one node."""
    import onnx
    import onnxslim

    slimmed = fuse_hard_sigmoid(onnxslim.slim(model))
    onnx.checker.check_model(slimmed)
    return slimmed


def fuse_hard_sigmoid(model: Any) -> Any:
    """Replace Add 3 → Clip 0…6 → Mul 1/6 by one HardSigmoid, in place; returns the model.

    ONNX Runtime computes a HardSigmoid in one pass over memory, or inside the convolution before it.
    """
    import onnx

    graph = model.graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for add in [node for node in graph.node if node.op_type == "Add"]:
        chain = _hard_sigmoid(add, users, constants)
        if chain is None:
            continue
        data, clip, scale = chain
        fused = onnx.helper.make_node(
            "HardSigmoid", [data], [scale.output[0]], name=f"{add.name}_hard_sigmoid", alpha=1 / 6, beta=0.5
        )
        position = next(i for i, node in enumerate(graph.node) if node is add or node.output == add.output)
        graph.node.insert(position, fused)
        for old in (add, clip, scale):
            graph.node.remove(old)
    used = {name for node in graph.node for name in node.input}
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)
    return model


def _hard_sigmoid(add: Any, users: dict[str, list[Any]], constants: dict[str, np.ndarray]) -> tuple[Any, ...] | None:
    """(data name, Clip, Mul) when `add` begins a hard-sigmoid whose middle nobody else reads."""
    data = _other(add, 3.0, constants)
    clip = _only(users, add, "Clip")
    scale = clip and _only(users, clip, "Mul")
    if data is None or scale is None or _other(scale, 1 / 6, constants) is None:
        return None
    low, high = (float(constants[name]) if name in constants else np.nan for name in clip.input[1:3])
    return (data, clip, scale) if (low, high) == (0.0, 6.0) else None


def _only(users: dict[str, list[Any]], node: Any, kind: str) -> Any | None:
    following = users.get(node.output[0], [])
    return following[0] if len(following) == 1 and following[0].op_type == kind else None


def _other(node: Any, value: float, constants: dict[str, np.ndarray]) -> str | None:
    """The input of a two-input node that stands beside the constant `value`."""
    for index, name in enumerate(node.input):
        if name in constants and constants[name].size == 1 and np.isclose(float(constants[name].item()), value):
            return node.input[1 - index]
    return None
