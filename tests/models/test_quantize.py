"""The int8 copy: nearly the same answers from a quarter of the bytes."""

import numpy as np
import onnx
import onnxslim
import pytest
from keras_tools import settle

from fer_utils import models
from fer_utils.faces import to_inputs
from fer_utils.models import Classifier, _quantize


@pytest.fixture(scope="module")
def folder(tmp_path_factory, drawn):
    """A models folder with a ResNet-18 that has learned nothing but tells faces apart."""
    folder = tmp_path_factory.mktemp("models")
    network = models.build("resnet18", weights=None)
    settle(network, to_inputs(drawn.images[:32]))
    models.export_onnx(network, folder / "resnet18.onnx", name="resnet18", metadata={"run": "resnet18"})
    return folder


def test_the_copy_is_small_describes_itself_and_says_nearly_the_same(folder, tmp_path, drawn):
    target = models.quantize(folder / "resnet18.onnx", tmp_path / "small.onnx", to_inputs(drawn.images[:64]))
    kinds = {node.op_type for node in onnx.load(target).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
    kernels = [item for item in onnx.load(target).graph.initializer if item.data_type == onnx.TensorProto.INT8]
    assert sum(np.prod(item.dims) for item in kernels) > 11e6  # all convolutions
    assert max(abs(onnx.numpy_helper.to_array(item).astype(int)).max() for item in kernels) <= 64  # seven bits
    inputs = to_inputs(drawn.images[64:128])
    with Classifier(folder / "resnet18.onnx") as whole, Classifier(target) as small:
        assert small.metadata == whole.metadata | {"precision": "int8"}
        before, after = whole.predict(inputs), small.predict(inputs)
    assert np.abs(before - after).max() < 0.15 and np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.95


def test_ranges_come_from_ordinary_faces(folder, drawn):
    ordinary = to_inputs(drawn.images[:60])
    wild = np.where(ordinary[:1] > 127, 1e5, -1e5).astype(np.float32)  # no picture is like that
    model = onnx.load(folder / "resnet18.onnx")
    model = onnxslim.slim(model)
    kept = _quantize._steady(model, np.concatenate([ordinary[:30], wild, ordinary[30:]]))
    assert len(kept) == round(_quantize.STEADY * 61) and np.abs(kept).max() <= 255
    remaining = {face.tobytes() for face in kept}
    order = [face.tobytes() for face in ordinary if face.tobytes() in remaining]
    assert [face.tobytes() for face in kept] == order
    assert len(_quantize._steady(model, ordinary[:1])) == 1


def test_no_faces(folder, tmp_path):
    with pytest.raises(ValueError, match="inputs"):
        models.quantize(folder / "resnet18.onnx", tmp_path / "small.onnx", np.zeros((0, 96, 96, 3), np.float32))
