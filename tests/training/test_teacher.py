"""The teacher's opinions: of the very view that the student sees, asked once."""

import numpy as np
import pytest
import tiny_onnx
from scipy.special import log_softmax

from fer_utils.faces import to_inputs
from fer_utils.models.classifier import Classifier, ModelError
from fer_utils.training import teacher
from fer_utils.training.augmentation import Augmentation
from fer_utils.training.config import Config
from fer_utils.training.dataset import batches


@pytest.fixture
def models_folder(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("FER_MODELS", str(folder))
    tiny_onnx.write(folder / "tiny.onnx")
    return folder


@pytest.fixture
def faces():
    return np.random.default_rng(3).integers(0, 256, (40, 48, 48), dtype=np.uint8)


def test_the_opinion_is_of_the_view_itself(models_folder, faces):
    logits = teacher.opinions("tiny", faces, 1, Augmentation())
    seen = tiny_onnx.expected(to_inputs(teacher.view(faces, 1, Augmentation())))
    assert logits.dtype == np.float32 and np.exp(logits) == pytest.approx(seen, abs=1e-4)
    other = tiny_onnx.expected(to_inputs(teacher.view(faces, 2, Augmentation())))
    assert np.abs(seen - other).max() > 0.01


def test_it_is_asked_once_for_the_same_question_only(models_folder, faces, monkeypatch):
    calls = []
    predict = Classifier.predict
    monkeypatch.setattr(Classifier, "predict", lambda *args, **kw: calls.append(1) or predict(*args, **kw))
    first = teacher.opinions("tiny", faces, 0, Augmentation())
    assert np.array_equal(teacher.opinions("tiny", faces, 0, Augmentation()), first) and len(calls) == 1
    teacher.opinions("tiny", faces, 1, Augmentation())
    teacher.opinions("tiny", faces, 0, Augmentation(erasing=0.0))
    teacher.opinions("tiny", faces[::-1], 0, Augmentation())
    teacher.opinions("tiny", faces, 0, Augmentation(), seed=1)
    assert len(calls) == 5
    tiny_onnx.write(models_folder / "tiny.onnx", shape=("B", 96, 96, 3))  # another file, another teacher
    teacher.opinions("tiny", faces, 0, Augmentation())
    assert len(calls) == 6


def test_several_teachers_are_averaged(models_folder, faces):
    tiny_onnx.write(models_folder / "twin.onnx")
    both = teacher.opinions("tiny+twin", faces, 0, Augmentation())
    assert both == pytest.approx(teacher.opinions("tiny", faces, 0, Augmentation()), abs=1e-4)


def test_no_such_teacher(models_folder, faces):
    with pytest.raises(ModelError, match="nobody"):
        teacher.opinions("nobody", faces, 0, Augmentation())


def test_a_student_sees_what_its_teacher_judged(models_folder, faces):
    """Epochs take turns with the views; each row's opinion belongs to that row's inputs."""
    config = Config("xception", batch=8, mixup=0.0, teacher="tiny", views=2)
    targets = np.eye(7, dtype=np.float32)[np.arange(40) % 7]
    epochs = [list(batches(config, faces, targets, epoch)) for epoch in range(3)]
    for batch in epochs[0] + epochs[1]:
        judged = np.log(tiny_onnx.expected(batch.inputs))
        assert log_softmax(batch.opinions, axis=1) == pytest.approx(judged, abs=1e-3)
    first, other, mirrored = (np.concatenate([batch.inputs for batch in epoch]) for epoch in epochs)
    assert not np.array_equal(np.sort(first.sum((1, 2, 3))), np.sort(other.sum((1, 2, 3))))
    order = [np.abs(mirrored[:, :, ::-1] - row).max((1, 2, 3)).argmin() for row in first]
    assert sorted(order) == list(range(40)) and order != sorted(order)  # the same faces in another order
    assert np.abs(mirrored[order][:, :, ::-1] - first).max() < 1e-3
    opinions = [np.concatenate([batch.opinions for batch in epoch]) for epoch in (epochs[0], epochs[2])]
    assert np.array_equal(opinions[0], opinions[1][order])
