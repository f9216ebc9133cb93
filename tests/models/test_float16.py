"""Weights kept as float16, in the weights file and inside the ONNX file: smaller, the same results, readable again."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_utils import models
from fer_utils.models import float16
from fer_utils.models.float16 import halve, kernels_in

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


SQUARE = half(1, 1, 64, 64)


@pytest.mark.parametrize("kernel, weight", [
    (rng.normal(size=(1, 1, 64, 64)).astype(np.float32), None),  # float16 would round it
    (SQUARE, np.where(np.arange(4096).reshape(64, 64, 1, 1) == 9, 1, 0) + SQUARE.transpose(3, 2, 0, 1)),  # one number
    (half(1, 1, 8, 8), None),  # too small to be worth it
    (np.zeros((1, 1, 64, 64), np.float32), half(64, 64, 1, 1)),  # nothing to multiply
])
def test_what_does_not_match_stays_as_it_is(kernel, weight):
    model = graph([kernel.transpose(3, 2, 0, 1) if weight is None else weight.astype(np.float32)])
    before = model.SerializeToString()
    assert halve(model, {"k": kernel}) == [] and model.SerializeToString() == before


def network(units=3):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.BatchNormalization()])


def test_round_trip_is_half_precision_and_keeps_what_half_cannot_hold(tmp_path):
    first, second = network(), network()
    weights = first.get_weights()
    weights[-1] = np.array([1e6, 2.0, 3.0], np.float32)  # a variance beyond float16
    first.set_weights(weights)
    float16.write_weights(first, tmp_path / "w.h5")
    float16.read_weights(second, tmp_path / "w.h5")
    for a, b in zip(weights, second.get_weights(), strict=True):
        assert b == pytest.approx(a, rel=1e-3)
    assert second.get_weights()[-1][0] == 1e6


def test_another_network_is_refused(tmp_path):
    float16.write_weights(network(3), tmp_path / "w.h5")
    with pytest.raises(ValueError, match="path"):
        float16.read_weights(network(5), tmp_path / "w.h5")
    with pytest.raises(ValueError, match="path"):
        float16.read_weights(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), tmp_path / "w.h5")


def exported(tmp_path):
    """A recorded network whose ONNX file holds its kernels."""
    model = models.build("mobilenet_v3_large", weights=None, image_size=72)
    path = tmp_path / "runs" / "run" / "model.weights.h5"
    float16.write_weights(model, path)
    float16.read_weights(model, path)  # float16 holds them now
    report = models.export_onnx(model, tmp_path / "run.onnx", name="run")
    return model, path, report


def test_a_thinned_file_reads_its_kernels_from_the_onnx_file(tmp_path):
    model, path, report = exported(tmp_path)
    whole = path.stat().st_size
    assert len(report.halved) > 30 and report.bytes < 0.53 * 4 * model.count_params()
    float16.thin(path, report.path, report.halved)
    assert path.stat().st_size < 0.2 * whole
    again = models.build("mobilenet_v3_large", weights=None, image_size=72, seed=1)
    float16.read_weights(again, path)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True))
    report.path.write_bytes(report.path.read_bytes() + b"x")
    with pytest.raises(ValueError, match="path"):
        float16.read_weights(again, path)
    report.path.unlink()
    with pytest.raises(ValueError, match="path"):
        float16.read_weights(again, path)
