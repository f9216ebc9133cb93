"""The int8 copy: nearly the same answers from a quarter of the bytes, and never shipped when it costs accuracy."""

import dataclasses

import numpy as np
import onnx
import pytest

from fer_utils.faces import to_inputs
from fer_utils.models import _build as models
from fer_utils.models import float16 as half_kernels
from fer_utils.models import onnx_export as export
from fer_utils.models import quantize as quantization
from fer_utils.models.classifier import Classifier, ModelError, manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory, drawn):
    """A models folder with a ResNet-18 that has learned nothing but tells faces apart."""
    folder = tmp_path_factory.mktemp("models")
    network = models.build("resnet18", weights=None)
    export.settle(network, to_inputs(drawn.images[:32]))
    export.to_onnx(network, folder / "resnet18.onnx", name="resnet18", metadata={"run": "resnet18"})
    return folder


@pytest.fixture
def shelf(folder, monkeypatch):
    monkeypatch.setenv("FER_MODELS", str(folder))
    monkeypatch.setattr(quantization, "CALIBRATED", 96)
    yield folder
    (folder / "resnet18_int8.onnx").unlink(missing_ok=True)


def settled(fer, folder):
    """The same faces, labelled as the network labels them: its accuracy is 1."""
    with Classifier(folder / "resnet18.onnx") as classifier:
        return dataclasses.replace(fer, labels=classifier.predict(to_inputs(fer.images)).argmax(1).astype(np.int8))


def test_the_copy_is_small_describes_itself_and_says_nearly_the_same(folder, tmp_path, drawn):
    target = quantization.quantize(folder / "resnet18.onnx", tmp_path / "small.onnx", to_inputs(drawn.images[:64]))
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
    half_kernels.widen(model)
    kept = quantization._steady(model, np.concatenate([ordinary[:30], wild, ordinary[30:]]))
    assert len(kept) == round(quantization.STEADY * 61) and np.abs(kept).max() <= 255
    remaining = {face.tobytes() for face in kept}
    order = [face.tobytes() for face in ordinary if face.tobytes() in remaining]
    assert [face.tobytes() for face in kept] == order
    assert len(quantization._steady(model, ordinary[:1])) == 1


def test_it_is_shipped_with_what_it_costs(shelf, drawn, monkeypatch):
    monkeypatch.setattr(quantization, "LIMIT", 1.0)  # an untrained network's answers are close calls
    fer = settled(drawn, shelf)
    entry = quantization.ship("resnet18", fer)
    assert entry == manifest(shelf)["files"]["resnet18_int8.onnx"]
    right = {}
    with Classifier("resnet18_int8") as small:
        for split in ("PublicTest", "PrivateTest"):
            rows = fer.split(split)
            right[split] = (small.predict(to_inputs(rows.images)).argmax(1) == rows.labels).mean()
    assert entry["public_cost"] == pytest.approx(1 - right["PublicTest"]) and right["PublicTest"] > 0.5
    assert entry["private_test"]["accuracy"] == pytest.approx(right["PrivateTest"])
    assert entry["private_test"]["n"] == len(fer.split("PrivateTest").labels)


def test_a_costly_copy_is_refused_and_leaves_no_file(shelf, drawn, monkeypatch):
    monkeypatch.setattr(quantization, "LIMIT", -1.0)
    with pytest.raises(ModelError, match="resnet18 loses"):
        quantization.ship("resnet18", settled(drawn, shelf))
    assert [path.name for path in shelf.glob("*int8*")] == []


def test_no_faces(folder, tmp_path):
    with pytest.raises(ValueError, match="at least one face"):
        quantization.quantize(folder / "resnet18.onnx", tmp_path / "small.onnx", np.zeros((0, 96, 96, 3), np.float32))
