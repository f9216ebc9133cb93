"""The shipped networks are what tools/mtcnn_export.py writes from the package's weights. (TensorFlow runs here.)"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from fer_utils.faces.mtcnn import SIDES, network_path
from tools import mtcnn_export


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    return {path.stem.removeprefix("mtcnn_"): path for path in mtcnn_export.export(folder)}


def run(path, image: np.ndarray) -> np.ndarray:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"image": image})[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", SIDES)
def test_shipped_and_exported_files_compute_what_the_package_does(exported, name):
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    stage = {"pnet": StagePNet, "rnet": StageRNet, "onet": StageONet}[name]
    side = SIDES[name] or 37
    image = np.random.default_rng(4).normal(size=(3, side, side, 3)).astype(np.float32)
    boxes, *points, scores = stage().model(image)
    for path in (exported[name], network_path(name)):
        found = np.moveaxis(run(path, image), 1, -1)
        np.testing.assert_allclose(found[..., :4], boxes, atol=1e-5)
        np.testing.assert_allclose(1 / (1 + np.exp(-found[..., 4])), np.asarray(scores)[..., 1], atol=1e-5)
        np.testing.assert_allclose(found[..., 5:], points[0] if points else found[..., 5:], atol=1e-5)


def test_files_say_where_they_come_from():
    for name in SIDES:
        model = onnx.load(network_path(name))
        notes = {entry.key: entry.value for entry in model.metadata_props}
        assert notes["network"] == name and "MIT" in notes["source"]


def test_pnet_takes_any_size_and_number():
    for count, height, width in ((1, 12, 12), (4, 30, 51)):
        cells = run(network_path("pnet"), np.zeros((count, height, width, 3), np.float32))
        assert cells.shape == (count, 5, (height - 1) // 2 - 4, (width - 1) // 2 - 4)
