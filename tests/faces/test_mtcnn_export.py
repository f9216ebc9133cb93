"""The shipped networks are what tools/mtcnn_export.py writes from the package's weights. (TensorFlow runs here.)"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from fer_utils.faces.mtcnn import NETWORKS, network_path
from tools import mtcnn_export

SIDES = {"pnet": 37, "rnet": 24, "onet": 48}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    return {path.stem.removeprefix("mtcnn_"): path for path in mtcnn_export.export(folder)}


def run(path, image: np.ndarray) -> list[np.ndarray]:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"image": image})


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_and_exported_files_compute_what_the_package_does(exported, name):
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    stage = {"pnet": StagePNet, "rnet": StageRNet, "onet": StageONet}[name]
    image = np.random.default_rng(4).normal(size=(3, SIDES[name], SIDES[name], 3)).astype(np.float32)
    expected = stage().model(image)
    for path in (exported[name], network_path(name)):
        outputs = run(path, image)
        if name == "pnet":
            scores = 1 / (1 + np.exp(-outputs[0][:, 4]))
            outputs = [outputs[0][:, :4].transpose(0, 2, 3, 1), np.stack([1 - scores, scores], axis=-1)]
        for mine, keras in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(mine, keras, atol=1e-5)


def test_files_say_where_they_come_from():
    for name in NETWORKS:
        model = onnx.load(network_path(name))
        notes = {entry.key: entry.value for entry in model.metadata_props}
        assert notes["network"] == name and "MIT" in notes["source"]
        assert tuple(output.name for output in model.graph.output) == NETWORKS[name][1]


def test_pnet_takes_any_size_and_number():
    for count, height, width in ((1, 12, 12), (4, 30, 51)):
        (cells,) = run(network_path("pnet"), np.zeros((count, height, width, 3), np.float32))
        assert cells.shape == (count, 5, (height - 1) // 2 - 4, (width - 1) // 2 - 4)
