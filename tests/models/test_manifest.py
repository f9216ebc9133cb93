"""manifest.json lists what is in a folder, as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_onnx

from fer_utils.models import _manifest, manifest, update_manifest


def test_facts_stay_with_unchanged_files_only(tmp_path: Path) -> None:
    tiny = tiny_onnx.write(tmp_path / "tiny.onnx")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.csv").write_text("epoch\n1\n")
    for hidden in ("README.md", ".tiny.onnx-part", "run/.lock"):
        (tmp_path / hidden).write_text("not listed")
    update_manifest(tmp_path, facts={"tiny.onnx": {"run": "tiny"}})
    files = manifest(tmp_path)["files"]
    assert set(files) == {"tiny.onnx", "run/history.csv"}
    assert files["tiny.onnx"]["inputs"] == {"image": "float32 [N, 96, 96, 3]"}
    assert files["tiny.onnx"]["outputs"] == {"probabilities": "float32 [N, 7]"}
    update_manifest(tmp_path)
    assert manifest(tmp_path)["files"]["tiny.onnx"]["run"] == "tiny"
    tiny_onnx.write(tiny, classes=None)
    (tmp_path / "run" / "history.csv").unlink()
    update_manifest(tmp_path)
    files = manifest(tmp_path)["files"]
    assert set(files) == {"tiny.onnx"} and "run" not in files["tiny.onnx"]
    with pytest.raises(ValueError, match="facts"):
        update_manifest(tmp_path, facts={"gone.onnx": {}})


def test_weights_that_no_onnx_file_goes_with_are_not_listed(tmp_path: Path) -> None:
    for name in ("resnet18/model.weights.h5", "resnet18_tried/model.weights.h5", "resnet18_tried/metrics.json"):
        (tmp_path / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name).write_bytes(b"0")
    (tmp_path / "resnet18.onnx").write_bytes(b"0")
    wanted = {"resnet18.onnx", "runs/resnet18/model.weights.h5", "runs/resnet18_tried/metrics.json"}
    assert set(_manifest.listed(tmp_path)) == wanted
