from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import tiny_onnx
from onnx import TensorProto
from realtime_tools import portrait
from tiny_onnx import NO_NETWORKS

from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import Detector, Face, align_all, crop_face, load_landmarks, to_inputs
from fer_utils.models import Classifier, ModelError, available, manifest, overview, suitable, update_manifest
from fer_utils.models.classifier import ALIGNED


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_onnx.write(tmp_path / "tiny.onnx")


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (5, 96, 96, 3)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_predict_is_the_network_whatever_the_batch(tiny: Path, inputs: np.ndarray, batch: int) -> None:
    with Classifier(tiny) as classifier:
        found = classifier.predict(inputs, batch=batch)
    assert found.dtype == np.float32 and found.shape == (5, 7)
    np.testing.assert_allclose(found, tiny_onnx.expected(inputs), atol=1e-5)


def test_predict_takes_none_one_and_what_preprocess_makes(tiny: Path, inputs: np.ndarray) -> None:
    with Classifier(str(tiny), threads=1) as classifier:
        assert classifier.predict(inputs[:0]).shape == (0, 7)
        assert classifier.predict(inputs[:1]).shape == (1, 7)
        assert classifier.predict(to_inputs([np.zeros((48, 48), np.uint8)])).shape == (1, 7)
        assert classifier.predict(inputs[:, ::-1]).shape == (5, 7), "a view that is not contiguous"
        assert classifier.classes == CLASSES and classifier.metadata["run"] == "tiny"


@pytest.mark.parametrize("count", [0, 7])
def test_any_number_of_faces(tiny: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("fer_utils.models.classifier.CHUNK", 3)
    faces = np.random.default_rng(4).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    with Classifier(tiny) as classifier:
        found = classifier.predict_faces(faces)
    assert found.shape == (count, 7) and found.dtype == np.float32
    np.testing.assert_allclose(found, tiny_onnx.expected(to_inputs(faces)), atol=1e-5)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((96, 96, 3), np.float32), np.zeros((1, 48, 48, 3), np.float32), np.zeros((1, 3, 96, 96), np.float32),
        np.zeros((1, 96, 96, 3), np.uint8),
    ],
    ids=["one face", "48 px", "channels first", "uint8"],
)
def test_predict_says_what_it_wants(tiny: Path, bad: np.ndarray) -> None:
    with Classifier(tiny) as classifier, pytest.raises(ValueError, match="inputs"):
        classifier.predict(bad)


def test_options_out_of_range(tiny: Path, inputs: np.ndarray) -> None:
    with pytest.raises(ValueError, match="threads"):
        Classifier(tiny, threads=-1)
    with Classifier(tiny) as classifier, pytest.raises(ValueError, match="batch"):
        classifier.predict(inputs, batch=0)


def test_closed_classifier_says_so(tiny: Path, inputs: np.ndarray) -> None:
    with Classifier(tiny) as classifier:
        pass
    classifier.close()
    with pytest.raises(ModelError, match="closed"):
        classifier.predict(inputs)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": ("N", 48, 48, 3)}, {"shape": ("N", "H", "W", 3)}, {"shape": (1, 96, 96, 3)}, {"outputs": 8},
        {"input_type": TensorProto.UINT8},
    ],
    ids=["48 px", "free sides", "fixed batch", "8 classes", "uint8"],
)
def test_other_shapes_are_refused(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(ModelError, match="must map|no ONNX file"):
        Classifier(tiny_onnx.write(tmp_path / "wrong.onnx", **wrong))


def test_alphabetical_or_unnamed_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="classes"):
        Classifier(tiny_onnx.write(tmp_path / "sorted.onnx", classes=tuple(sorted(CLASSES))))
    with pytest.raises(ModelError, match="classes"):
        Classifier(tiny_onnx.write(tmp_path / "unnamed.onnx", classes=None))


# What a model of one's own may call its columns in: metadata, a list beside it, or nothing.
TOLD = {
    "metadata": ({"classes": ("Bored", "Glad", "Cross")}, {}, ()),
    "labels.txt": ({"classes": None}, {"labels.txt": "Bored\nGlad\nCross\n"}, ()),
    "option": ({"classes": None}, {}, ["Bored", "Glad", "Cross"]),
    "option wins": ({"classes": ("0", "1", "2")}, {"labels.txt": "a\nb\nc"}, ["Bored", "Glad", "Cross"]),
}


@pytest.mark.parametrize(("last", "side"), [("Softmax", 96), ("Identity", 48)])
@pytest.mark.parametrize("told", TOLD)
def test_a_model_of_ones_own(tmp_path: Path, told: str, last: str, side: int) -> None:
    options, files, names = TOLD[told]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    path = tiny_onnx.write(tmp_path / "own.onnx", outputs=3, shape=("N", side, side, 3), last=last, **options)
    faces = np.random.default_rng(4).integers(0, 256, (4, 48, 48), dtype=np.uint8)
    with pytest.raises(ModelError):
        Classifier(path)
    with Classifier(path, own=names) as classifier:
        assert classifier.classes == ("Bored", "Glad", "Cross")
        found = classifier.predict_faces(faces)
        assert classifier.predict_faces(faces[:0]).shape == (0, 3)
    np.testing.assert_allclose(found, tiny_onnx.expected(to_inputs(faces, size=side), outputs=3), atol=1e-5)


@pytest.mark.parametrize(("wrong", "own", "message"), [
    ({"classes": None}, (), r"must name its classes: in its metadata .* labels\.txt .* --classes"),
    ({}, ("Happy", "Sad"), r"must map float \[N, 96, 96, 3\] → \[N, 2\], not .*7"),
    ({"last": "Sigmoid"}, (), "must give logits or probabilities whose rows sum to 1; they sum to"),
    ({"shape": ("N", 96, 48, 3)}, (), r"must map float \[N, 96, 96, 3\]"),
], ids=["unnamed", "two names for seven", "sigmoids", "not square"])
def test_a_model_of_ones_own_that_cannot_be_read_says_why(tmp_path: Path, wrong: dict, own, message: str) -> None:
    with pytest.raises(ModelError, match=f"own.onnx {message}"):
        Classifier(tiny_onnx.write(tmp_path / "own.onnx", **wrong), own=own)


def test_merged_classes_are_sums(tiny: Path, inputs: np.ndarray) -> None:
    with Classifier(tiny, merge=["Angry + Disgust=Negative", "Sad+Fear=Low", "Happy=Joy"]) as classifier:
        assert classifier.classes == ("Negative", "Low", "Joy", "Surprise", "Neutral")
        found = classifier.predict(inputs)
    p = tiny_onnx.expected(inputs)
    wanted = np.stack([p[:, 0] + p[:, 1], p[:, 2] + p[:, 4], p[:, 3], p[:, 5], p[:, 6]], axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("merge", ["Angry+Discust=Bad", "Angry+Disgust", "Sad=", "Sad=B=C", "Angry+Fear=A,Fear+Sad=B"])
def test_merging_what_is_not_there_or_twice_is_refused(tiny: Path, merge: str) -> None:
    with pytest.raises(ModelError, match=r"merge: must be like Angry\+Disgust=Negative, with Angry, Disgust, .*; got"):
        Classifier(tiny, merge=merge.split(","))


def test_the_most_suitable_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="^model: "):
        suitable()
    for name in ("zebra", "mobilenet_v3_large", "xception"):
        tiny_onnx.write(tmp_path / f"{name}.onnx")
        with suitable() as classifier:
            assert classifier.path.stem == name
    for slow, live, name in ((1e6, True, "xception"), (0, False, "xception"), (0, True, "mobilenet_v3_large")):
        monkeypatch.setattr("fer_utils.models.classifier.SLOW", slow)
        with suitable(live=live, threads=1) as classifier:
            assert classifier.path.stem == name


def test_the_overview_names_every_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    tiny_onnx.write(tmp_path / "xception.onnx")
    update_manifest(tmp_path, facts={"xception.onnx": {"private_test": {"accuracy": 0.71234}}})
    tiny_onnx.write(tmp_path / "own.onnx", outputs=3, classes=("Bored", "Glad", "Cross"))
    _, first, own = overview(threads=1)
    assert re.fullmatch(r"xception +71\.2 % +\d+\.\d +0\.0", first)
    assert re.fullmatch(r"own +– +\d+\.\d +0\.0", own)


@pytest.mark.parametrize("listed", [False, True], ids=["unlisted", "in the manifest"])
@pytest.mark.parametrize("kind", NO_NETWORKS)
def test_what_is_no_onnx_file_is_named_in_one_line(tiny: Path, kind: str, listed: bool) -> None:
    if listed:
        update_manifest(tiny.parent)
    change, message = NO_NETWORKS[kind]
    tiny.write_bytes(change(tiny.read_bytes()))
    if listed and "cut off" in message:
        message = "has been altered or is incomplete.* Restore it with git"
    with pytest.raises(ModelError, match=f"tiny.onnx {message}") as caught:
        Classifier(tiny)
    assert "\n" not in str(caught.value)


def test_weights_in_a_file_beside_the_model(tmp_path: Path, inputs: np.ndarray) -> None:
    model = onnx.load(tiny_onnx.write(tmp_path / "tiny.onnx"))
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, size_threshold=0, location="outside.data")
    with Classifier(tmp_path / "outside.onnx") as classifier:
        np.testing.assert_allclose(classifier.predict(inputs), tiny_onnx.expected(inputs), atol=1e-5)


def test_missing_file_names_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny: Path) -> None:
    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    shutil.copy(tiny, tmp_path / "mtcnn_pnet.onnx")
    assert available() == ["tiny"]
    with Classifier("tiny") as classifier:
        assert classifier.path == tiny
    for missing in ("vgg19", tmp_path / "vgg19.onnx", tmp_path):
        with pytest.raises(ModelError, match="tiny") as caught:
            Classifier(missing)
        assert str(tmp_path) in str(caught.value)


def test_altered_file_is_refused(tiny: Path, inputs: np.ndarray) -> None:
    update_manifest(tiny.parent)
    with Classifier(tiny) as classifier:
        before = classifier.predict(inputs)
    content = bytearray(tiny.read_bytes())
    position = content.index(tiny_onnx.KERNEL[0, 0].tobytes())
    content[position + 2] ^= 0x10
    tiny.write_bytes(content)
    with pytest.raises(ModelError, match="altered"):
        Classifier(tiny)
    with Classifier(tiny, check=False) as classifier:
        assert not np.array_equal(classifier.predict(inputs), before)


def test_manifest_absent_or_broken(tmp_path: Path, tiny: Path) -> None:
    assert manifest(tmp_path) == {"format": 1, "files": {}}
    for text in ("", "[]", '{"files": []}', '{"format": 1}', "\x00"):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(ModelError, match="not a manifest"):
            Classifier(tiny)


def test_works_without_tensorflow(tiny: Path) -> None:
    code = (
        "import sys, numpy; from fer_utils.models import Classifier; "
        f"Classifier({str(tiny)!r}).predict_faces(numpy.zeros((1, 48, 48), numpy.uint8)); "
        "sys.exit(', '.join({'tensorflow', 'keras', 'onnx', 'pandas', 'scipy'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=paths.ROOT)


@pytest.fixture
def unaligned(tiny: Path):
    with Classifier(tiny) as classifier:
        yield classifier


@pytest.fixture
def aligned(tmp_path: Path):
    with Classifier(tiny_onnx.write(tmp_path / "a.onnx", alignment=ALIGNED)) as classifier:
        yield classifier


def test_each_model_gets_fer2013_as_it_was_trained(aligned, unaligned, drawn) -> None:
    few = drawn.take(np.arange(24))
    assert not unaligned.aligned and np.array_equal(unaligned.images_of(few), few.images)
    images, flags = align_all(few.images, load_landmarks(few))
    assert aligned.aligned and flags.any() and np.array_equal(aligned.images_of(few), images)


def rotated(degrees: float) -> np.ndarray:
    image = portrait()
    matrix = cv2.getRotationMatrix2D((223, 128), degrees, 1)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("degrees", [30, -30])
def test_a_rotated_face_reaches_an_aligned_model_upright(aligned, unaligned, degrees) -> None:
    images = [portrait(), rotated(degrees)]
    with Detector() as detector:
        faces = [detector.detect(image)[:1] for image in images]
    upright, turned = (aligned.inputs_of(image, found) for image, found in zip(images, faces, strict=True))
    assert upright.shape == turned.shape == (1, 96, 96, 3) and upright.dtype == np.float32
    assert np.ptp(upright[0], axis=-1).max() == 0 and upright.max() > 100
    middle = np.s_[0, 16:80, 16:80, 0]
    difference = np.abs(upright - turned)[middle].mean()
    before = [unaligned.inputs_of(image, found)[middle] for image, found in zip(images, faces, strict=True)]
    assert difference < 8 < 20 < np.abs(before[0] - before[1]).mean()


def test_an_unaligned_model_gets_crops_in_fer2013s_framing(aligned, unaligned) -> None:
    box = (174.0, 66.0, 98.0, 125.0)
    found = unaligned.inputs_of(portrait(), [Face(box, 1.0, np.zeros((5, 2), np.float32))] * 2)
    assert np.array_equal(found, to_inputs([crop_face(portrait(), box)] * 2))
    assert aligned.inputs_of(portrait(), []).shape == unaligned.inputs_of(portrait(), []).shape == (0, 96, 96, 3)
