"""Shipping: a stored run becomes a measured ONNX file, its int8 copy only where it costs little."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from keras_tools import settle

from fer_utils import models
from fer_utils.evaluation import summary
from fer_utils.faces import to_inputs
from fer_utils.training import publish


@pytest.fixture
def stored_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn) -> Path:
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    monkeypatch.setattr(publish, "CALIBRATED", 64)
    folder = tmp_path / "runs" / "resnet18"
    model = models.build("resnet18", weights=None, image_size=48)
    settle(model, to_inputs(drawn.images[:16]))
    models.write_weights(model, folder / "model.weights.h5")
    config = {"backbone": "resnet18", "image_size": 48, "dropout": 0.3, "aligned": False, "seed": 7}
    outcome = {"data": "synthetic sample", "initial_weights": {"name": "random", "sha256": None}}
    (folder / "config.json").write_text(json.dumps({"config": config, "outcome": outcome}))
    private = drawn.split("PrivateTest")
    scores = summary(private.labels, np.eye(7)[private.labels])
    (folder / "metrics.json").write_text(json.dumps({"private": scores}))
    return tmp_path


def test_a_run_is_shipped_with_its_scores_and_a_costly_copy_is_not(stored_run: Path, drawn, monkeypatch) -> None:
    entry = publish.ship("resnet18", drawn)
    assert entry["private_test"]["accuracy"] == 1 and entry["parity"] <= 1e-4 and entry["run"] == "resnet18"
    monkeypatch.setattr(publish, "LIMIT", -1.0)
    with pytest.raises(models.ModelError, match="run: int8"):
        publish.ship_int8("resnet18", drawn)
    assert not list(stored_run.glob("*int8*"))
    monkeypatch.setattr(publish, "LIMIT", 1.0)
    small = publish.ship_int8("resnet18", drawn)
    assert small == models.manifest()["files"]["resnet18_int8.onnx"] and small["bytes"] < 0.7 * entry["bytes"]
    with models.Classifier("resnet18_int8") as classifier:
        private = drawn.split("PrivateTest")
        right = (classifier.predict_faces(private.images).argmax(1) == private.labels).mean()
    assert small["private_test"]["accuracy"] == pytest.approx(right)
