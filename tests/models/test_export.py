from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_onnx
from conftest import HAS_REAL

from fer_utils.data import CLASSES
from fer_utils.faces import to_inputs
from fer_utils.models import _build as models
from fer_utils.models import onnx_export as export
from fer_utils.models.classifier import Classifier


@pytest.fixture(scope="module")
def inputs(request: pytest.FixtureRequest) -> np.ndarray:
    """256 PrivateTest faces where FER2013 is there, else 64 drawn ones; float32 [N, 96, 96, 3], 0–255.

    What the networks are settled on must be what they are tested on: an untrained EfficientNet explodes on the rest.
    """
    if HAS_REAL:
        return to_inputs(request.getfixturevalue("real_data").split("PrivateTest").images[:256])
    return to_inputs(request.getfixturevalue("drawn").images[:64])


@pytest.fixture(scope="module", params=models.BACKBONES)
def exported(request: pytest.FixtureRequest, inputs: np.ndarray, tmp_path_factory: pytest.TempPathFactory):
    """(name, Keras network, report) of each backbone, randomly initialized."""
    model = models.build(request.param, weights=None)
    export.settle(model, inputs[:64])
    path = tmp_path_factory.mktemp("export") / f"{request.param}.onnx"
    return request.param, model, export.to_onnx(model, path, name=request.param, metadata={"run": "none", "seed": 5})


def test_four_backbones_agree_with_keras(exported, inputs: np.ndarray) -> None:
    _, model, report = exported
    with Classifier(report.path) as classifier:
        found = classifier.predict(inputs)
    assert found.std(axis=0).min() > 0.01, "the network answers alike to everything: parity would mean nothing"
    assert export.parity(model, report.path, inputs) <= 1e-4


@pytest.mark.real_data
def test_four_backbones_agree_on_256_real_faces(exported, inputs: np.ndarray, real_data) -> None:
    _, model, report = exported
    np.testing.assert_array_equal(inputs, to_inputs(real_data.split("PrivateTest").images[:256]))
    assert export.parity(model, report.path, inputs) <= 1e-4


def test_file_describes_itself(exported) -> None:
    name, _, report = exported
    graph = onnx.load(report.path)
    props = {item.key: item.value for item in graph.metadata_props}
    assert json.loads(props["classes"]) == list(CLASSES)
    assert props["name"] == name and props["run"] == "none" and props["seed"] == "5" and props["licence"] == "MIT"
    (given,), (returned,) = graph.graph.input, graph.graph.output
    sides = [side.dim_param or side.dim_value for side in given.type.tensor_type.shape.dim]
    assert (given.name, sides) == ("image", ["N", 96, 96, 3]) and returned.name == "probabilities"
    assert report.bytes == report.path.stat().st_size and {item.version for item in graph.opset_import} == {17}


def test_simplified_graph_is_clean(exported) -> None:
    name, _, report = exported
    nodes = onnx.load(report.path).graph.node
    kinds = [node.op_type for node in nodes]
    assert len(kinds) == report.nodes_after <= report.nodes_before
    assert kinds.count("Transpose") == 1, "one from NHWC to NCHW, none between convolutions"
    if name == "mobilenet_v3_large":
        assert kinds.count("HardSigmoid") == 28 and "Clip" not in kinds and report.nodes_after < 180


def test_parity_notices_a_different_network(exported, inputs: np.ndarray) -> None:
    name, model, report = exported
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias + np.eye(7, dtype=np.float32)[2] * 0.01])
    difference = export.parity(model, report.path, inputs)
    model.get_layer("logits").set_weights([kernel, bias])
    assert difference > 1e-4


def small_model(outputs: int = 7, activation: str | None = None):
    import keras

    image = keras.Input((None, None, 3), name="image")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Dense(outputs, activation=activation, name="logits")(pooled))


@pytest.mark.parametrize("wrong", [{"outputs": 6}, {"activation": "softmax"}])
def test_wrong_models_are_refused(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(ValueError, match="model: must"):
        export.to_onnx(small_model(**wrong), tmp_path / "x.onnx", name="x")
    assert not list(tmp_path.iterdir())


def test_unsimplified_export_and_failed_write(tmp_path: Path, inputs: np.ndarray) -> None:
    model, path = small_model(), tmp_path / "x.onnx"
    report = export.to_onnx(model, path, name="x", simplify=False)
    assert report.nodes_before == report.nodes_after and export.parity(model, path, inputs) <= 1e-5
    before = path.read_bytes()
    with pytest.raises(TypeError):
        export.to_onnx(model, path, name="x", metadata={"bad": object()})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_parity_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inputs"):
        export.parity(small_model(), tmp_path / "x.onnx", np.zeros((0, 96, 96, 3), np.float32))


def test_latency_counts_what_it_times(tmp_path: Path) -> None:
    times = export.latency(tiny_onnx.write(tmp_path / "t.onnx"), batch=2, repeats=5, warmup=1, threads=1)
    assert times.batch == 2 and times.times.shape == (5,)
    assert 0 < times.times.min() <= times.median <= times.p95 <= times.times.max()
