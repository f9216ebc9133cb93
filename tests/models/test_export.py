from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tiny_onnx
from keras_tools import settle

from fer_utils import models, paths
from fer_utils.data import CLASSES
from fer_utils.faces import to_inputs
from fer_utils.models import Classifier, float16, onnx_export


@pytest.fixture(scope="module")
def inputs(drawn) -> np.ndarray:
    """64 faces, to settle networks and to test them: an untrained EfficientNet explodes on others."""
    return to_inputs(drawn.images[:64])


@pytest.fixture(scope="module", params=[pytest.param("xception", marks=pytest.mark.slow), *models.BACKBONES[1:]])
def exported(request: pytest.FixtureRequest, inputs: np.ndarray, tmp_path_factory: pytest.TempPathFactory):
    """(name, Keras network, report) of each backbone, randomly initialized."""
    model = models.build(request.param, weights=None)
    settle(model, inputs)
    path = tmp_path_factory.mktemp("export") / f"{request.param}.onnx"
    report = models.export_onnx(model, path, name=request.param, metadata={"run": "none", "seed": 5})
    return request.param, model, report


def test_each_backbone_agrees_with_keras_in_a_clean_file_that_describes_itself(exported, inputs: np.ndarray) -> None:
    name, model, report = exported
    with Classifier(report.path) as classifier:
        found = classifier.predict(inputs)
    assert found.std(axis=0).min() > 0.01, "the network answers alike to everything: parity would mean nothing"
    assert onnx_export.parity(model, report.path, inputs) <= 1e-4
    graph = onnx.load(report.path)
    facts = {item.key: item.value for item in graph.metadata_props}
    assert json.loads(facts["classes"]) == list(CLASSES)
    assert facts["name"] == name and facts["run"] == "none" and facts["seed"] == "5" and facts["licence"] == "MIT"
    (given,), (returned,) = graph.graph.input, graph.graph.output
    sizes = [side.dim_param or side.dim_value for side in given.type.tensor_type.shape.dim]
    assert (given.name, sizes) == ("image", ["N", 96, 96, 3]) and returned.name == "probabilities"
    assert report.bytes == report.path.stat().st_size
    kinds = [node.op_type for node in graph.graph.node]
    assert len(kinds) == report.nodes_after <= report.nodes_before
    assert kinds.count("Transpose") == 1, "one from NHWC to NCHW, none between convolutions"
    if name == "mobilenet_v3_large":
        assert kinds.count("HardSigmoid") == 28 and "Clip" not in kinds and report.nodes_after < 180
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias + np.eye(7, dtype=np.float32)[2] * 0.01])
    assert onnx_export.parity(model, report.path, inputs) > 1e-4, "parity must notice another network"


def small_model(outputs: int = 7, activation: str | None = None):
    image = keras.Input((None, None, 3), name="image")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Dense(outputs, activation=activation, name="logits")(pooled))


@pytest.mark.parametrize("wrong", [{"outputs": 6}, {"activation": "softmax"}])
def test_wrong_models_are_refused(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(ValueError, match="model"):
        models.export_onnx(small_model(**wrong), tmp_path / "x.onnx", name="x")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_former_file(tmp_path: Path, inputs: np.ndarray) -> None:
    model, path = small_model(), tmp_path / "x.onnx"
    models.export_onnx(model, path, name="x")
    assert onnx_export.parity(model, path, inputs) <= 1e-5
    before = path.read_bytes()
    with pytest.raises(TypeError):
        models.export_onnx(model, path, name="x", metadata={"bad": object()})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_parity_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inputs"):
        onnx_export.parity(small_model(), tmp_path / "x.onnx", np.zeros((0, 96, 96, 3), np.float32))


def test_latency_times_every_repeat(tmp_path: Path) -> None:
    times = models.latency(tiny_onnx.write(tmp_path / "t.onnx"), batch=2, repeats=5)
    assert times.shape == (5,) and times.min() > 0


@pytest.fixture
def stored_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: np.ndarray) -> Path:
    """A models folder with a stored run of a network that has learned nothing."""
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    folder = tmp_path / "runs" / "resnet18_tried"
    model = models.build("resnet18", weights=None, image_size=48)
    settle(model, inputs)
    float16.write_weights(model, folder / "model.weights.h5")
    config = {"backbone": "resnet18", "image_size": 48, "dropout": 0.3, "aligned": True, "seed": 7}
    outcome = {"data": "FER2013", "initial_weights": {"name": "random", "sha256": None}}
    (folder / "config.json").write_text(json.dumps({"config": config, "outcome": outcome}))
    return folder


def test_command_exports_a_stored_run_and_lists_it(stored_run: Path, inputs: np.ndarray) -> None:
    whole = (stored_run / "model.weights.h5").stat().st_size
    environment = {**os.environ, "FER_DATA": "sample"}
    command = [sys.executable, "-m", "fer_utils.models", "export", "resnet18_tried"]
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "resnet18_tried.onnx" in done.stdout, done.stderr
    entry = models.manifest()["files"]["resnet18_tried.onnx"]
    assert entry["run"] == "resnet18_tried" and entry["parity"] <= 1e-4
    assert entry["inputs"] == {"image": "float32 [N, 96, 96, 3]"}
    with Classifier("resnet18_tried") as classifier:
        assert classifier.aligned and classifier.metadata["initial_weights"] == "random"
        again = classifier.predict(inputs)
    assert (stored_run / "model.weights.h5").stat().st_size < 0.1 * whole
    assert np.abs(models.probabilities(models.load("resnet18_tried"), inputs) - again).max() <= 1e-4


def test_an_export_that_differs_leaves_everything_as_it_was(stored_run: Path, inputs, monkeypatch) -> None:
    former = tiny_onnx.write(paths.models_dir() / "resnet18_tried.onnx").read_bytes()
    weights = (stored_run / "model.weights.h5").read_bytes()
    monkeypatch.setattr(onnx_export, "PARITY", -1.0)
    with pytest.raises(models.ModelError, match="run: "):
        onnx_export.export_run("resnet18_tried", inputs)
    assert (paths.models_dir() / "resnet18_tried.onnx").read_bytes() == former
    assert (stored_run / "model.weights.h5").read_bytes() == weights


@pytest.mark.parametrize("shift, top, scale, fused", [
    (3.0, 6.0, 1 / 6, 1), (2.0, 6.0, 1 / 6, 0), (3.0, 5.0, 1 / 6, 0), (3.0, 6.0, 1 / 5, 0),
])
def test_hard_sigmoid_is_fused_only_where_it_is_one(tmp_path: Path, inputs, shift, top, scale, fused) -> None:
    image = keras.Input((None, None, 3), name="image")
    maps = keras.layers.Conv2D(8, 3)(keras.layers.Rescaling(1 / 64, offset=-2)(image))
    maps = keras.layers.Conv2D(8, 3)(keras.layers.ReLU(top)(maps + shift) * scale)
    model = keras.Model(image, keras.layers.Dense(7)(keras.layers.GlobalAveragePooling2D()(maps)))
    report = models.export_onnx(model, tmp_path / "x.onnx", name="x")
    kinds = [node.op_type for node in onnx.load(report.path).graph.node]
    assert kinds.count("HardSigmoid") == fused and "Sigmoid" not in kinds
    assert onnx_export.parity(model, report.path, inputs) <= 1e-5
