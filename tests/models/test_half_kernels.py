"""Kernels kept as float16 inside an ONNX file: smaller, the same results, readable again."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_utils.models import float16 as half_kernels
from fer_utils.models.float16 import PREFIX, halve, kernels_in

rng = np.random.default_rng(2013)


def half(*shape):
    return rng.normal(size=shape).astype(np.float16).astype(np.float32)


def graph(weights, groups=1):
    """A chain of convolutions, float32 initializers in ONNX's layout."""
    nodes, tensor = [], "image"
    for index in range(len(weights)):
        nodes.append(helper.make_node("Conv", [tensor, f"w{index}"], [f"y{index}"], group=groups))
        tensor = f"y{index}"
    channels = weights[0].shape[1] * groups
    model = helper.make_model(
        helper.make_graph(
            nodes, "chain",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", channels, 8, 8])],
            [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["N", None, None, None])],
            [numpy_helper.from_array(weight, f"w{index}") for index, weight in enumerate(weights)],
        ),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def run(model, inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": inputs})[0]


def test_kernels_are_found_with_and_without_factors_and_the_file_shrinks(tmp_path):
    plain, scaled, other = half(1, 1, 64, 64), half(1, 1, 64, 64), half(1, 1, 64, 64)
    factors = rng.uniform(0.1, 3, (64, 1, 1, 1)).astype(np.float32)
    onnx_order = [kernel.transpose(3, 2, 0, 1) for kernel in (plain, scaled)]
    weights = [onnx_order[0], onnx_order[1] * factors, rng.normal(size=(64, 64, 1, 1)).astype(np.float32)]
    model, inputs = graph(weights), rng.normal(size=(2, 64, 8, 8)).astype(np.float32)
    before, size = run(model, inputs), model.ByteSize()
    assert sorted(halve(model, {"b": scaled, "a": plain, "unused": other})) == ["a", "b"]
    assert np.allclose(run(model, inputs), before, rtol=1e-5, atol=1e-3 * np.abs(before).max() * 1e-2)
    assert model.ByteSize() < 0.75 * size  # two of three kernels are halved
    onnx.save(model, tmp_path / "m.onnx")
    found = kernels_in(tmp_path / "m.onnx", {"a": plain.shape, "b": scaled.shape, "unused": other.shape})
    assert set(found) == {"a", "b"} and found["a"].dtype == np.float16
    assert np.array_equal(found["a"], plain) and np.array_equal(found["b"], scaled)


def test_depthwise_layout_and_a_shape_that_does_not_fit(tmp_path):
    kernel = half(3, 3, 512, 1)
    model = graph([kernel.transpose(2, 3, 0, 1)], groups=512)
    assert halve(model, {"d": kernel}) == ["d"]
    onnx.save(model, tmp_path / "m.onnx")
    assert np.array_equal(kernels_in(tmp_path / "m.onnx", {"d": (3, 3, 512, 1)})["d"], kernel)
    assert kernels_in(tmp_path / "m.onnx", {"d": (5, 5, 512, 1)}) == {}


@pytest.mark.parametrize("kernel, weight", [
    (rng.normal(size=(1, 1, 64, 64)).astype(np.float32), None),  # float16 would round it
    (half(1, 1, 64, 63), half(64, 64, 1, 1)),  # another shape
    (half(1, 1, 64, 64), half(64, 64, 1, 1)),  # another kernel
    (half(1, 1, 8, 8), None),  # too small to be worth it
    (np.zeros((1, 1, 64, 64), np.float32), half(64, 64, 1, 1)),  # nothing to multiply
])
def test_what_does_not_match_stays_as_it_is(kernel, weight):
    model = graph([kernel.transpose(3, 2, 0, 1) if weight is None else weight])
    before = model.SerializeToString()
    assert halve(model, {"k": kernel}) == [] and model.SerializeToString() == before


def test_one_changed_number_is_no_match():
    kernel = half(1, 1, 64, 64)
    weight = kernel.transpose(3, 2, 0, 1).copy()
    weight[40, 3] += 0.01
    assert halve(graph([weight]), {"k": kernel}) == []


def test_names_carry_the_prefix():
    kernel = half(1, 1, 64, 64)
    model = graph([kernel.transpose(3, 2, 0, 1)])
    halve(model, {"0007/kernel": kernel})
    assert PREFIX + "0007/kernel" in {item.name for item in model.graph.initializer}
    assert half_kernels.SMALLEST <= kernel.size


def test_widening_gives_float32_weights_back():
    plain, scaled = half(1, 1, 64, 64), half(1, 1, 64, 64)
    factors = rng.uniform(0.1, 3, (64, 1, 1, 1)).astype(np.float32)
    weights = [plain.transpose(3, 2, 0, 1), scaled.transpose(3, 2, 0, 1) * factors]
    model, inputs = graph(weights), rng.normal(size=(2, 64, 8, 8)).astype(np.float32)
    before = run(model, inputs)
    assert sorted(halve(model, {"a": plain, "b": scaled})) == ["a", "b"]
    half_kernels.widen(model)
    held = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    assert {node.op_type for node in model.graph.node} == {"Conv"} and sorted(held) == ["w0", "w1"]
    assert all(held[f"w{index}"] == pytest.approx(weight, rel=1e-5) for index, weight in enumerate(weights))
    assert np.allclose(run(model, inputs), before, rtol=1e-4, atol=1e-4 * np.abs(before).max())
