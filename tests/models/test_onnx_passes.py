from __future__ import annotations

import numpy as np
import onnx
import pytest

from fer_utils.models import onnx_passes


def hard_sigmoid(*, offset: float = 3.0, top: float = 6.0, read_twice: bool = False) -> onnx.ModelProto:
    """x → Clip(x + 3, 0, 6) / 6, or a near miss."""
    helper, tensor = onnx.helper, onnx.numpy_helper.from_array
    nodes = [
        helper.make_node("Add", ["x", "three"], ["a"]), helper.make_node("Clip", ["a", "zero", "top"], ["b"]),
        helper.make_node("Mul", ["b", "sixth"], ["c"]),
        helper.make_node("Add", ["c", "b"], ["y"]) if read_twice else helper.make_node("Identity", ["c"], ["y"]),
    ]
    values = {"three": [offset], "zero": 0.0, "top": top, "sixth": [1 / 6]}
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None]) for name in "xy"]
    graph = helper.make_graph(
        nodes, "g", ports[:1], ports[1:], [tensor(np.float32(value), name) for name, value in values.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("changes", "fused"), [({}, 1), ({"offset": 2.0}, 0), ({"top": 1.0}, 0), ({"read_twice": True}, 0)]
)
def test_hard_sigmoid_is_fused_only_where_it_is_one(changes: dict, fused: int) -> None:
    import onnxruntime as ort

    def run(model: onnx.ModelProto) -> np.ndarray:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {"x": np.linspace(-8, 8, 101, dtype=np.float32)})[0]

    before = run(hard_sigmoid(**changes))
    model = onnx_passes.fuse_hard_sigmoid(hard_sigmoid(**changes))
    assert [node.op_type for node in model.graph.node].count("HardSigmoid") == fused
    np.testing.assert_allclose(run(model), before, atol=1e-6)


@pytest.mark.parametrize("operation", ["add", "multiply", "subtract"])
def test_scalars_become_vectors_and_nothing_else_changes(operation: str) -> None:
    import onnxruntime as ort
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec([None, 4, 4, 3], tf.float32, name="x")]
    function = tf.function(lambda x: getattr(tf.math, operation)(x, 3.0) + tf.constant([1.0, 2.0, 3.0]))
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=signature, opset=17, custom_rewriter=[onnx_passes.vectors_for_scalars]
    )
    shapes = sorted(list(item.dims) for item in model.graph.initializer)
    assert [] not in shapes and shapes, "a scalar is left"
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {session.get_inputs()[0].name: x})[0], function(x), atol=1e-6)
