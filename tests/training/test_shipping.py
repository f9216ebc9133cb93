from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_onnx

from fer_utils import paths
from fer_utils.faces import to_inputs
from fer_utils.models import _build as models
from fer_utils.models import onnx_export as export
from fer_utils.models.classifier import Classifier, ModelError, manifest
from fer_utils.training import publish as shipping


def test_manifest_keeps_facts_of_unchanged_files_only(tmp_path: Path) -> None:
    tiny = tiny_onnx.write(tmp_path / "tiny.onnx")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.csv").write_text("epoch\n1\n")
    for hidden in ("README.md", ".tiny.onnx-part", "run/.lock"):
        (tmp_path / hidden).write_text("not listed")
    shipping.update_manifest(tmp_path, facts={"tiny.onnx": {"run": "tiny"}})
    files = manifest(tmp_path)["files"]
    assert set(files) == {"tiny.onnx", "run/history.csv"}
    assert files["tiny.onnx"]["inputs"] == {"image": "float32 [N, 96, 96, 3]"}
    assert files["tiny.onnx"]["outputs"] == {"probabilities": "float32 [N, 7]"}
    shipping.update_manifest(tmp_path)
    assert manifest(tmp_path)["files"]["tiny.onnx"]["run"] == "tiny"
    tiny_onnx.write(tiny, classes=None)
    (tmp_path / "run" / "history.csv").unlink()
    shipping.update_manifest(tmp_path)
    files = manifest(tmp_path)["files"]
    assert set(files) == {"tiny.onnx"} and "run" not in files["tiny.onnx"]
    with pytest.raises(ValueError, match=r"facts: .*gone\.onnx"):
        shipping.update_manifest(tmp_path, facts={"gone.onnx": {}})


def record(folder: Path, run: str, fer) -> None:
    """A finished run, as training writes it, of a network that has learned nothing."""
    from fer_utils.evaluation.runs import write_run
    from fer_utils.training.fit import Config

    model = models.build(models.base_name(run), weights=None)
    export.settle(model, to_inputs(fer.images[:16]))
    public, private = fer.split("PublicTest"), fer.split("PrivateTest")
    logits = {"public": np.eye(7)[public.labels.clip(0)], "private": np.eye(7)[private.labels.clip(0)]}
    facts = {"is_sample": fer.is_sample, "initial_weights": "random", "parameters": 1, "mflops": 1.0}
    write_run(
        Config(run), [{"epoch": 1}], logits, {"public": public.labels, "private": private.labels}, facts, model
    )


def test_command_exports_a_recorded_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn) -> None:
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    record(tmp_path, "mobilenet_v3_large", drawn)
    environment = {**os.environ, "FER_MODELS": str(tmp_path), "FER_DATA": "sample"}
    done = subprocess.run(
        [sys.executable, "-m", "fer_utils.models.onnx_export", "mobilenet_v3_large"],
        cwd=paths.ROOT, env=environment, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "mobilenet_v3_large.onnx" in done.stdout and done.stderr == ""
    entry = manifest(tmp_path)["files"]["mobilenet_v3_large.onnx"]
    assert entry["private_test"]["accuracy"] == 1 and entry["parity"] <= 1e-4 and entry["run"] == "mobilenet_v3_large"
    with Classifier("mobilenet_v3_large") as classifier:
        assert classifier.metadata["trained_on"] == "drawn sample, not FER2013"
        assert classifier.metadata["alignment"] == shipping.WHOLE_FRAMES


def test_a_bad_export_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn) -> None:
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    record(tmp_path, "resnet18", drawn)
    former = tiny_onnx.write(tmp_path / "resnet18.onnx").read_bytes()
    monkeypatch.setattr(shipping, "PARITY", -1.0)
    with pytest.raises(ModelError, match="Keras and ONNX must agree"):
        shipping.ship("resnet18", drawn)
    assert (tmp_path / "resnet18.onnx").read_bytes() == former
    with pytest.raises(FileNotFoundError, match="vgg19"):
        shipping.ship("vgg19", drawn)


def test_everything_in_models_is_listed_as_it_is() -> None:
    if not (paths.MODELS / "manifest.json").is_file():
        pytest.skip("nothing shipped yet")
    before = manifest(paths.MODELS)["files"]
    for name, entry in before.items():
        path = paths.MODELS / name
        assert path.stat().st_size == entry["bytes"] <= 90e6, name
        assert shipping._entry(path, {}, {})["sha256"] == entry["sha256"], f"{name}: run python -m fer_utils.models.onnx_export"
    shipped = set(shipping.listed(paths.MODELS))
    assert shipped == set(before), "run python -m fer_utils.models.onnx_export"
    assert sum(entry["bytes"] for entry in before.values()) <= 200e6


def test_weights_that_no_onnx_file_goes_with_are_not_listed(tmp_path: Path) -> None:
    for name in ("resnet18/model.weights.h5", "resnet18_tried/model.weights.h5", "resnet18_tried/metrics.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"0")
    (tmp_path / "resnet18.onnx").write_bytes(b"0")
    wanted = {"resnet18.onnx", "resnet18/model.weights.h5", "resnet18_tried/metrics.json"}
    assert set(shipping.listed(tmp_path)) == wanted
