"""LIME over many faces, with a model whose reasons are known."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny_onnx

from fer_utils import explain, faces, models, paths
from fer_utils.data import CLASSES
from fer_utils.evaluation import list_runs
from fer_utils.evaluation.runs import digest
from fer_utils.explain import __main__ as command
from fer_utils.explain import mean_intervals, measures
from fer_utils.explain._study import choose_faces, study

POINTS = np.array([[14.5, 18], [32.5, 18], [23.5, 28.3], [16, 37], [31, 37]], np.float32)
MOUTH = (slice(64, 84), slice(30, 66))  # of the 96-px input


def smiling(inputs):
    """Probability of every class: how uneven the mouth is."""
    spread = inputs[:, MOUTH[0], MOUTH[1], 0].std((1, 2)) / 80
    return np.repeat(np.minimum(1, spread)[:, None], 7, axis=1).astype(np.float32)


MODEL = SimpleNamespace(predict=smiling, aligned=False, images_of=lambda fer: fer.images)


def landmarks_of(fer, points=POINTS):
    found = faces.Landmarks.empty(len(fer))
    found.points[:], found.scores[:], found.passes[:] = points, 1, 1
    return found


@pytest.fixture
def noisy(drawn):
    rng = np.random.default_rng(0)
    return dataclasses.replace(drawn, images=rng.integers(0, 256, drawn.images.shape, dtype=np.uint8))


def test_chosen_faces_are_of_the_class_and_their_parts_can_be_told_apart(noisy):
    found = landmarks_of(noisy)
    blank, profile, missing = np.flatnonzero(noisy.labels == CLASSES.index("Angry"))[:3]
    noisy.images[blank] = 7
    found.points[profile, 1] = found.points[profile, 0] + 4
    found.passes[missing] = 0
    rows = choose_faces(noisy, found, classes=("Angry", "Surprise"), each=10_000)
    counts = np.bincount(noisy.labels, minlength=7)
    assert len(rows) == counts[CLASSES.index("Angry")] - 3 + counts[CLASSES.index("Surprise")]
    assert not {blank, profile, missing} & set(rows)
    few = choose_faces(noisy, found, classes=("Surprise",), each=3)
    assert len(few) == 3 and set(few) <= set(rows) and (np.diff(few) > 0).all()
    assert (few == choose_faces(noisy, found, classes=("Surprise",), each=3)).all()


def test_a_model_that_looks_at_the_mouth_is_found_out(noisy):
    rows = choose_faces(noisy, landmarks_of(noisy), classes=("Angry", "Disgust"), each=2)
    result = study(MODEL, noisy, rows, landmarks_of(noisy), samples=400)
    assert (result.rows == rows).all() and (result.labels == noisy.labels[rows]).all() and len(result) == 4
    mouth = explain.REGIONS.index("mouth")
    surplus = result.weight.mean(0) / result.area.mean(0)
    assert surplus.argmax() == mouth and surplus[mouth] > 1.5
    assert result.weight.sum(1) == pytest.approx(1) and result.area.sum(1) == pytest.approx(1)
    assert (result.spearman > 0).all() and (result.top_iou > 0.4).all() and (result.score > 0.5).all()
    assert result.curves[:, 0, 0] == pytest.approx(result.probability) and result.share[[0, -1]].tolist() == [0, 1]
    told = measures(result)
    assert len(told) == 4 and (told["attribution to mouth"] == result.weight[:, mouth]).all()
    assert (told.filter(like="AUC, difference to random") > 0).all(axis=None)
    assert told.filter(like="area-adjusted").sum(axis=1).to_numpy() == pytest.approx(0)
    assert told["area-adjusted attribution to mouth"].mean() > 0.05


def test_landmarks_move_with_an_aligned_face(noisy):
    rotated = (POINTS - 23.5) @ np.array([[0.94, 0.34], [-0.34, 0.94]]) * 0.9 + 23.5
    aligned = faces.align(noisy.images[0], rotated)
    model = SimpleNamespace(predict=smiling, aligned=True, images_of=lambda fer: aligned[None])
    result = study(model, noisy, np.array([0]), landmarks_of(noisy, rotated), samples=60)
    upright = study(MODEL, noisy, np.array([0]), landmarks_of(noisy), samples=60)
    # Aligned, the parts of the face lie where those of the template do.
    assert result.area == pytest.approx(upright.area, abs=0.02)
    assert result.probability[0] == pytest.approx(smiling(faces.to_inputs(aligned[None]))[0, 0], abs=1e-6)


def test_a_part_of_a_study(noisy):
    result = study(MODEL, noisy, np.array([0, 1]), landmarks_of(noisy), samples=40)
    part = result.take(result.rows == 1)
    assert len(part) == 1 and part.rows[0] == 1 and np.array_equal(part.curves[0], result.curves[1])
    assert part.share is result.share


def test_no_faces_to_study(noisy):
    with pytest.raises(ValueError, match="^rows:"):
        study(MODEL, noisy, np.zeros(0, int), landmarks_of(noisy))


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    numbers = np.random.default_rng(1).normal(3, 2, 400)
    row = mean_intervals(pd.DataFrame({"x": [*numbers, np.nan]})).loc["x"]
    error = 1.96 * numbers.std() / 20
    expected = [numbers.mean() - error, numbers.mean() + error]
    assert row["n"] == 400 and [row["low"], row["high"]] == pytest.approx(expected, abs=0.03)


def test_a_study_is_read_back_as_the_command_recorded_it(drawn, store, monkeypatch, capsys):
    store("resnet18", np.zeros((2, 7)), [0, 1])
    path = tiny_onnx.write(paths.models_dir() / "resnet18.onnx")
    with pytest.raises(FileNotFoundError, match="explain resnet18"):
        explain.read_study("resnet18")
    private = drawn.split("PrivateTest")
    few = private.take(np.concatenate([np.flatnonzero(private.labels == label)[:1] for label in range(7)]))
    monkeypatch.setattr(command.data, "load", lambda: few)
    monkeypatch.setattr(faces, "load_landmarks", landmarks_of)
    command.main(["resnet18"])
    found, facts = explain.read_study("resnet18")
    assert [CLASSES[label] for label in found.labels] == ["Angry", "Disgust", "Surprise"]
    whole = tiny_onnx.expected(faces.to_inputs(few.images[found.rows]))[np.arange(3), found.labels]
    assert found.probability == pytest.approx(whole, abs=1e-5)
    assert facts == {"samples": "400", "model": digest(path)}
    assert "runs/resnet18/lime.npz" in models.manifest()["files"] and "lime.npz" in capsys.readouterr().out


def test_what_is_stored_belongs_to_the_shipped_files():
    names = [name for name in list_runs() if (paths.MODELS / "runs" / name / "lime.npz").is_file()]
    assert names
    for name in names:
        assert explain.read_study(name)[1]["model"] == digest(paths.MODELS / f"{name}.onnx"), name
