"""A real ONNX classifier of a few kilobytes: mean colour → linear → softmax."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_utils.data import CLASSES

KERNEL = np.random.default_rng(7).normal(0, 0.01, (3, 7)).astype(np.float32)


# What lies where an ONNX file should: its content, made of the right one's, and what the message says of it.
NO_NETWORKS = {
    "empty": (lambda content: b"", "is empty: download"),
    "200 bytes": (lambda content: content[:200], "is cut off or no ONNX file .*download"),
    "one byte short": (lambda content: content[:-1], "is cut off or no ONNX file .*download"),
    "a pointer": (
        lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:76a3010d03cd\nsize 41860192\n",
        "is a Git LFS pointer, not the network itself: run `git lfs pull`",
    ),
    "a page": (lambda content: b"\n<!DOCTYPE html><html><title>Sign in</title></html>", "is a web page.*: download"),
    "text": (lambda content: b"404: Not Found", "is cut off or no ONNX file .*download"),
}


def write(
    path: Path,
    *,
    shape: tuple = ("N", 96, 96, 3),
    classes: tuple[str, ...] | None = CLASSES,
    outputs: int = 7,
    input_type: int = TensorProto.FLOAT,
    alignment: str = "none, whole frames",
    last: str = "Softmax",
) -> Path:
    """Write the classifier; arguments make it wrong in one way each."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "kernel"], ["logits"]),
        helper.make_node(last, ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("image", input_type, shape)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [shape[0], outputs])],
        [numpy_helper.from_array(np.ascontiguousarray(np.resize(KERNEL, (3, outputs))), "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if classes is not None:
        helper.set_model_props(model, {"classes": json.dumps(classes), "run": "tiny", "alignment": alignment})
    onnx.save(model, path)
    return path


def expected(inputs: np.ndarray, outputs: int = 7) -> np.ndarray:
    """The same in NumPy."""
    logits = inputs.astype(np.float64).mean((1, 2)) @ np.resize(KERNEL, (3, outputs)).astype(np.float64)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
