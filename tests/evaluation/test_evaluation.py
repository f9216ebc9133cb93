"""Twelve views and faces made worse: recorded for the very file that is shipped."""

import numpy as np
import pytest
import tiny_onnx

from fer_utils import faces, paths
from fer_utils.evaluation import corruptions, metrics, runs, tta
from fer_utils.evaluation import robustness as evaluation
from fer_utils.faces import to_inputs
from fer_utils.models import classifier as inference
from fer_utils.training.config import Config


def judge(faces):
    return tiny_onnx.expected(to_inputs(faces))


@pytest.fixture
def shipped(tmp_path, monkeypatch, drawn):
    """A recorded run of a tiny classifier in a models folder of its own."""

    class Nothing:
        weights = ()

    monkeypatch.setenv("FER_MODELS", str(tmp_path))
    tiny_onnx.write(tmp_path / "resnet18.onnx")
    logits = {name: np.zeros((2, 7)) for name in ("public", "private")}
    labels = {name: np.array([0, 1]) for name in logits}
    facts = {"parameters": 1, "mflops": 1}
    history = [{"epoch": 1, "public_accuracy": 0.1}]
    runs.write_run(Config("resnet18", epochs=1), history, logits, labels, facts, Nothing(), folder=tmp_path)
    return "resnet18"


def test_twelve_views_of_every_test_face_are_recorded(shipped, drawn, monkeypatch):
    whole, turned = drawn.split("PrivateTest").images, drawn.split("PrivateTest").images[:, ::-1]
    monkeypatch.setattr(faces, "load_landmarks", lambda fer: len(fer))
    monkeypatch.setattr(faces, "align_all", lambda found, landmarks: (found[:, ::-1], landmarks))
    evaluation.record_views(shipped, drawn)
    found = evaluation.read_views(shipped)
    assert found["private"] == pytest.approx(tta.predict([judge], whole, turned), abs=1e-5)
    path = paths.models_dir() / f"{shipped}.onnx"
    assert str(found["model"]) == evaluation._hash(path)


def test_robustness_judges_the_changed_faces(shipped, drawn):
    private = drawn.split("PrivateTest")
    evaluation.record_robustness(shipped, drawn)
    table = evaluation.read_robustness(shipped)
    assert len(table) == 1 + len(corruptions.NAMES) * len(corruptions.STRENGTHS)
    assert (table["n"] == len(private.labels)).all()
    clean, dark = table.iloc[0], table[(table["change"] == "low light") & (table["strength"] == 4)].iloc[0]
    assert (clean["change"], clean["strength"]) == (evaluation.CLEAN, 0) and dark["setting"] == "15%"
    for row, changed in ((clean, private.images), (dark, corruptions.apply(private.images, "low light", 4))):
        assert row["accuracy"] == pytest.approx(metrics.summary(private.labels, judge(changed))["accuracy"])
        told = judge(changed).argmax(1)
        assert row["answers"].tolist() == told.tolist() and row["accuracy"] == (told == private.labels).mean()
    assert table.attrs["labels"] == private.labels.tolist()
    assert table.attrs["model"] == evaluation._hash(paths.models_dir() / f"{shipped}.onnx")


def test_every_model_sees_the_same_drawn_rows(shipped, drawn):
    evaluation.record_robustness(shipped, drawn, rows=20)
    first = evaluation.read_robustness(shipped)
    evaluation.record_robustness(shipped, drawn, rows=20)
    again = evaluation.read_robustness(shipped)
    assert (first["n"] == 20).all() and np.array_equal(np.stack(first["answers"]), np.stack(again["answers"]))
    with pytest.raises(ValueError, match="rows: must lie in 1"):
        evaluation.record_robustness(shipped, drawn, rows=0)


def test_an_aligned_model_gets_aligned_pictures(monkeypatch):
    images = np.zeros((2, 48, 48), np.uint8)
    monkeypatch.setattr(faces, "fer_landmarks", lambda found: f"landmarks of {id(found)}")
    monkeypatch.setattr(faces, "align_all", lambda found, landmarks: (found + 7, landmarks))
    assert (evaluation._aligning(lambda found: found)(images) == 7).all()


def test_a_lime_study_is_read_back_as_it_was_recorded(shipped, drawn, monkeypatch):
    private = drawn.split("PrivateTest")
    points = np.array([[14.5, 18], [32.5, 18], [23.5, 28.3], [16, 37], [31, 37]], np.float32)
    found = faces.Landmarks.empty(len(private.labels))
    found.points[:], found.scores[:], found.passes[:] = points, 1, 1
    monkeypatch.setattr(faces, "load_landmarks", lambda fer: found)
    evaluation.record_lime(shipped, drawn, each=1, samples=20)
    study, facts = evaluation.read_lime(shipped)
    names = [evaluation.metrics.CLASSES[label] for label in study.labels]
    assert names == list(evaluation.EXPLAINED) and (private.labels[study.rows] == study.labels).all()
    whole = judge(private.images[study.rows])[np.arange(3), study.labels]
    assert study.probability == pytest.approx(whole, abs=1e-5)
    assert facts == {"samples": "20", "model": evaluation._hash(paths.models_dir() / f"{shipped}.onnx")}


def test_nothing_recorded(shipped):
    readers = {"views": evaluation.read_views, "robustness": evaluation.read_robustness, "lime": evaluation.read_lime}
    for command, read in readers.items():
        with pytest.raises(FileNotFoundError, match=f"evaluation {command} resnet18"):
            read(shipped)


@pytest.mark.parametrize("file, read", [
    (evaluation.VIEWS, lambda name: str(evaluation.read_views(name)["model"])),
    (evaluation.ROBUSTNESS, lambda name: evaluation.read_robustness(name).attrs["model"]),
    (evaluation.LIME, lambda name: evaluation.read_lime(name)[1]["model"]),
])
def test_what_is_recorded_in_models_belongs_to_the_shipped_files(file, read):
    listed = inference.manifest(paths.MODELS)["files"]
    for path in paths.MODELS.glob(f"*/{file}"):
        name = path.parent.name
        assert read(name) == listed[f"{name}.onnx"]["sha256"], f"{path} is of another {name}.onnx"
