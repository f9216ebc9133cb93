"""MTCNN's three networks, taken once from the `mtcnn` package's weights and written as ONNX.

The files in models/ come from here; nobody needs to run it again unless the package's weights change:

    python -m tools.mtcnn_export

The weights are those of the `mtcnn` package (MIT licence, © 2019–2024 Iván de Paz Centeno), which took them from
Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks" (2016).
After tf2onnx and onnxslim, two rewrites make the graphs about a fifth faster on a CPU; both keep the numbers.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from fer_utils import paths
from fer_utils.faces.mtcnn import NETWORKS, network_path

__all__ = ["export"]

OPSET = 17
BLOCK = 16  # ONNX Runtime keeps channels in blocks of 16 (AVX-512) or 8; other numbers of channels make it copy


def export(folder: Path = paths.MODELS) -> list[Path]:
    """Write the three networks as ONNX files into `folder` and return their paths.

    Every file takes `image` float32 [N, H, W, 3] RGB, scaled (x − 127.5) / 128. R-Net (H = W = 24) and O-Net (48) give
    `boxes` [N, 4] (offsets as fractions of the box), `scores` [N, 2] (no face, face), and O-Net `points` [N, 10] (five
    x, then five y, as fractions of the box). P-Net takes any size and gives `cells` [N, 5, h, w]: for each place of its
    12-px window, moved by 2 px, four box offsets and the log-odds of a face.

    Needs TensorFlow, tf2onnx, onnxslim and the `mtcnn` package. Raises ImportError when one is missing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    stages = {"pnet": StagePNet, "rnet": StageRNet, "onet": StageONet}
    return [_export_one(name, stages[name]().model, folder) for name in NETWORKS]


def _export_one(name: str, model, folder: Path) -> Path:
    import onnx
    import onnxslim
    import tensorflow as tf
    import tf2onnx

    side, outputs = NETWORKS[name]
    signature = [tf.TensorSpec([None, side, side, 3], tf.float32, name="image")]
    forward = tf.function(lambda image: tuple(tf.identity(y) for y in model(image)))
    proto, _ = tf2onnx.convert.from_function(forward, input_signature=signature, opset=OPSET)
    proto = onnxslim.slim(proto)
    if name == "pnet":
        _one_head(proto)
    _blocked_prelu(proto)
    _tidy(proto, outputs)
    proto.producer_name = "tools.mtcnn_export"
    source = "mtcnn package 1.0, MIT licence, (c) 2019-2024 Ivan de Paz Centeno; Zhang et al. 2016"
    onnx.helper.set_model_props(proto, {"network": name, "source": source})
    onnx.checker.check_model(proto, full_check=True)
    target = folder / network_path(name).name
    with paths.atomic(target) as temporary:
        onnx.save(proto, temporary)
    return target


def _one_head(proto) -> None:
    """P-Net's two 1 × 1 convolutions and the softmax of two classes as one convolution: offsets and log-odds."""
    from onnx import TensorProto, helper

    graph, constants = proto.graph, _Constants(proto.graph)
    softmax = next(node for node in graph.node if node.op_type == "Softmax")
    last = next(node for node in reversed(graph.node) if node.op_type == "Conv")
    heads = [node for node in graph.node if node.op_type == "Conv" and node.input[0] == last.input[0]]
    boxes, classes = sorted(heads, key=lambda node: -len(constants[node.input[1]]))
    joined = [last.input[0]]
    for place in (1, 2):  # weights, bias
        both = constants[boxes.input[place]], np.diff(constants[classes.input[place]], axis=0)
        joined.append(constants.add(f"cells_{place}", np.concatenate(both)))
    ends = {output.name for output in graph.output}
    keep = [node for node in graph.node if node not in (boxes, classes, softmax) and node.output[0] not in ends]
    del graph.node[:], graph.output[:]
    graph.node.extend([*keep, helper.make_node("Conv", joined, ["cells"], kernel_shape=[1, 1])])
    graph.output.append(helper.make_tensor_value_info("cells", TensorProto.FLOAT, ["N", 5, "h", "w"]))


def _blocked_prelu(proto) -> None:
    """Write each PReLU behind a convolution so that ONNX Runtime never leaves its blocked layout of channels.

    Keras writes relu(x) − a·relu(−x), five passes over memory. The same is x + relu((a − 1)·x) for a ≤ 1, and
    x − relu((1 − a)·x) for a > 1: one channelwise convolution with its relu fused (a second one where a sign has to be
    turned), and a sum.
    """
    graph, constants = proto.graph, _Constants(proto.graph)
    producer = {node.output[0]: node for node in graph.node}
    for add in [node for node in graph.node if node.op_type == "Add"]:
        parts = {producer[name].op_type: producer[name] for name in add.input if name in producer}
        if set(parts) != {"Relu", "Mul"} or producer[parts["Relu"].input[0]].op_type != "Conv":
            continue
        slope = next(name for name in parts["Mul"].input if name in constants)
        inner = producer[next(name for name in parts["Mul"].input if name != slope)]
        convolution = producer[parts["Relu"].input[0]]
        alpha = -constants[slope].ravel()
        missing = -len(alpha) % BLOCK
        if missing:
            _widen(graph, constants, convolution, add, missing)
        alpha = np.pad(alpha, (0, missing), constant_values=1)
        new = _prelu_nodes(constants, convolution.output[0], add.output[0], alpha)
        place = list(graph.node).index(add)
        for old in (add, parts["Mul"], inner, producer[inner.input[0]], parts["Relu"]):
            graph.node.remove(old)
        for offset, node in enumerate(new):
            graph.node.insert(place - 4 + offset, node)


def _prelu_nodes(constants: _Constants, x: str, result: str, alpha: np.ndarray) -> list:
    from onnx import helper

    sign = np.where(alpha > 1, -1.0, 1.0)
    options = {"group": len(alpha), "kernel_shape": [1, 1]}
    factor = constants.add(f"{result}_factor", ((alpha - 1) * sign).reshape(-1, 1, 1, 1))
    nodes = [helper.make_node("Conv", [x, factor], [f"{result}_part"], **options),
             helper.make_node("Relu", [f"{result}_part"], [f"{result}_relu"])]
    term = f"{result}_relu"
    if (sign < 0).any():
        turn = constants.add(f"{result}_sign", sign.reshape(-1, 1, 1, 1))
        nodes.append(helper.make_node("Conv", [term, turn], [f"{result}_signed"], **options))
        term = f"{result}_signed"
    return [*nodes, helper.make_node("Add", [term, x], [result])]


def _widen(graph, constants: _Constants, convolution, activation, missing: int) -> None:
    """Give a convolution `missing` more output channels of zeros, and the next one inputs that ignore them."""
    weights, bias = convolution.input[1], convolution.input[2]
    constants.add(weights, np.pad(constants[weights], ((0, missing), (0, 0), (0, 0), (0, 0))))
    constants.add(bias, np.pad(constants[bias], (0, missing)))
    node = activation
    while node is activation or node.op_type != "Conv":
        node = next(other for other in graph.node if node.output[0] in other.input)
    constants.add(node.input[1], np.pad(constants[node.input[1]], ((0, 0), (0, missing), (0, 0), (0, 0))))


def _tidy(proto, names: tuple[str, ...]) -> None:
    """Plain names for the outputs (tf2onnx calls them Identity:0 …), and nothing that no node uses."""
    graph = proto.graph
    renamed = {output.name: name for output, name in zip(graph.output, names, strict=True)}
    for node in graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for output in graph.output:
        output.name = renamed[output.name]
    used = {name for node in graph.node for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(constants)


class _Constants:
    """The float arrays of a graph by name."""

    def __init__(self, graph):
        self._graph, self._tensors = graph, {tensor.name: tensor for tensor in graph.initializer}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __getitem__(self, name: str) -> np.ndarray:
        from onnx import numpy_helper

        return numpy_helper.to_array(self._tensors[name])

    def add(self, name: str, values: np.ndarray) -> str:
        """Store an array, in place of another one of that name; returns the name."""
        from onnx import numpy_helper

        if name in self._tensors:
            self._graph.initializer.remove(self._tensors[name])
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        self._tensors[name] = self._graph.initializer[-1]
        return name


if __name__ == "__main__":
    for path in export():
        print(f"{path.name}  {path.stat().st_size / 1024:.0f} kB")
