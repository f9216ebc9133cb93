"""What models/ ships: files as listed, networks that say again what their records say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from realtime_tools import portrait

from fer_utils import data, models, paths
from fer_utils.faces import Detector, to_inputs
from fer_utils.models import Classifier, _manifest, onnx_export

SHIPPED = models.available(paths.MODELS)
RUNS = [name for name in SHIPPED if not name.endswith("_int8")]
COUNT = 300  # images


def test_everything_is_listed_as_it_is() -> None:
    listed = models.manifest(paths.MODELS)["files"]
    assert set(_manifest.listed(paths.MODELS)) == set(listed), "run python -m fer_utils.models list"
    for name, entry in listed.items():
        content = (paths.MODELS / name).read_bytes()
        assert len(content) == entry["bytes"] <= 90e6, name
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], f"{name}: run python -m fer_utils.models list"
    assert sum(entry["bytes"] for entry in listed.values()) <= 200e6


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_classifier_is_described_and_calls_a_smile_happy(name: str) -> None:
    entry = models.manifest(paths.MODELS)["files"][f"{name}.onnx"]
    assert entry["private_test"]["n"] > 0 and 0 < entry["private_test"]["macro_f1"] <= 1
    with Detector() as detector, Classifier(paths.MODELS / f"{name}.onnx") as classifier:
        found = classifier.predict(classifier.inputs_of(portrait(), detector.detect(portrait())[:1]))
        assert classifier.metadata["run"] == entry["run"] and classifier.metadata["licence"]
        config = json.loads((folder(entry["run"]) / "config.json").read_text())["config"]
        assert classifier.aligned == config["aligned"]
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert data.CLASSES[found[0].argmax()] == "Happy"


def folder(run: str) -> Path:
    return paths.MODELS / "runs" / run


@pytest.mark.real_data
@pytest.mark.parametrize("name", RUNS)
def test_a_shipped_file_reproduces_its_stored_predictions(name: str, real_data) -> None:
    with Classifier(paths.MODELS / f"{name}.onnx") as classifier, np.load(folder(name) / "predictions.npz") as stored:
        for split in ("PublicTest", "PrivateTest"):
            found = classifier.predict_faces(classifier.images_of(real_data.split(split).take(np.arange(COUNT))))
            wanted = stored[split.removesuffix("Test").lower()][:COUNT]
            assert np.abs(found - wanted).max() < 0.02, "weights were rounded to float16"
            assert (found.argmax(1) == wanted.argmax(1)).mean() > 0.99


@pytest.mark.real_data
@pytest.mark.parametrize("name", RUNS)
def test_a_stored_run_loads_and_reproduces_its_file(name: str, real_data) -> None:
    few = real_data.split("PrivateTest").take(np.arange(64))
    with Classifier(paths.MODELS / f"{name}.onnx") as classifier:
        images = classifier.images_of(few)
    assert onnx_export.parity(models.load(name), paths.MODELS / f"{name}.onnx", to_inputs(images)) <= 1e-4
