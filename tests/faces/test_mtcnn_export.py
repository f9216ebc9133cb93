"""The shipped networks are what the export writes from the package's weights. (TensorFlow runs here.)"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from fer_utils.faces import mtcnn_export

SIDES = {"pnet": 37, "rnet": 24, "onet": 48}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    return {path.stem.removeprefix("mtcnn_"): path for path in mtcnn_export.export(folder=folder)}


def run(path, image: np.ndarray) -> list[np.ndarray]:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"image": image})


@pytest.mark.parametrize("name", mtcnn_export.NETWORKS)
def test_shipped_file_computes_what_a_new_export_does(exported, name):
    image = np.random.default_rng(3).normal(size=(5, SIDES[name], SIDES[name], 3)).astype(np.float32)
    pairs = zip(run(mtcnn_export.network_path(name), image), run(exported[name], image), strict=True)
    for shipped, new in pairs:
        np.testing.assert_allclose(shipped, new, atol=1e-5)


@pytest.mark.parametrize("name", mtcnn_export.NETWORKS)
def test_export_computes_what_the_package_does(exported, name):
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    stage = {"pnet": StagePNet, "rnet": StageRNet, "onet": StageONet}[name]
    image = np.random.default_rng(4).normal(size=(3, SIDES[name], SIDES[name], 3)).astype(np.float32)
    mine = run(exported[name], image)
    if name == "pnet":
        faces = 1 / (1 + np.exp(-mine[0][:, 4]))
        mine = [mine[0][:, :4].transpose(0, 2, 3, 1), np.stack([1 - faces, faces], axis=-1)]
    for keras, new in zip(stage().model(image), mine, strict=True):
        np.testing.assert_allclose(new, keras, atol=1e-5)


@pytest.mark.parametrize("name", mtcnn_export.NETWORKS)
def test_files_say_where_they_come_from(name):
    model = onnx.load(mtcnn_export.network_path(name))
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert notes["network"] == name and "MIT" in notes["source"]
    assert tuple(output.name for output in model.graph.output) == mtcnn_export.NETWORKS[name][1]


@pytest.mark.parametrize("shape", [(1, 12, 12, 3), (4, 30, 51, 3)])
def test_pnet_takes_any_size_and_number(shape):
    (cells,) = run(mtcnn_export.network_path("pnet"), np.zeros(shape, np.float32))
    assert cells.shape == (shape[0], 5, (shape[1] - 1) // 2 - 4, (shape[2] - 1) // 2 - 4)


def test_unknown_network_names_the_known_ones():
    with pytest.raises(ValueError, match="pnet, rnet, onet; got 'qnet'"):
        mtcnn_export.network_path("qnet")
