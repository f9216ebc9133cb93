"""Means of several runs, unweighted or with weights fitted on PublicTest, and of twelve crops."""

import numpy as np
import pytest
import tiny_onnx
from scipy.special import softmax

from fer_utils import faces, paths
from fer_utils.evaluation import Run, ensemble
from fer_utils.evaluation.runs import digest
from fer_utils.faces import to_inputs

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 7, 600)
# Two models that err on different images, the first less often, and one that knows nothing.
P = softmax([strength * np.eye(7)[LABELS] + RNG.normal(size=(600, 7)) for strength in (2.0, 1.5, 0.0)], axis=2)


def log_loss(weights, probabilities=P):
    mean = np.average(probabilities, axis=0, weights=weights)
    return -np.log(mean[np.arange(len(LABELS)), LABELS]).mean()


def test_no_other_weights_make_the_labels_likelier():
    found = ensemble.fit_weights(P, LABELS)
    assert found.sum() == pytest.approx(1) and found.min() >= 0 and found[0] > found[1] > 0.05 > found[2]
    nearby = np.abs(found + RNG.normal(scale=0.01, size=(200, 3)))
    for other in [*RNG.dirichlet(np.ones(3), 300), *nearby]:
        assert log_loss(other) > log_loss(found) - 1e-6
    assert ensemble.fit_weights(P[[0, 0]], LABELS) == pytest.approx([0.5, 0.5])


def test_a_certain_error_is_survived():
    """Probability 0 of the right class has no logarithm."""
    probabilities = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]]])
    found = ensemble.fit_weights(probabilities, np.array([0, 1]))
    assert np.isfinite(found).all() and found[1] > found[0]


def test_fitted_weights_are_scored_on_images_that_they_were_not_fitted_on():
    found = ensemble.log_losses(P, LABELS)
    assert found["best_single"] == pytest.approx(log_loss([1, 0, 0]))
    assert found["unweighted"] == pytest.approx(log_loss(None))
    assert log_loss(ensemble.fit_weights(P, LABELS)) + 1e-5 < found["fitted"] < found["unweighted"]


def test_stored_runs_are_stacked(store):
    names = ("xception", "resnet18", "efficientnet_b0")
    runs = [store(name, np.log(p), LABELS) for name, p in zip(names, P, strict=True)]
    for split in ("public", "private"):
        probabilities, labels = ensemble.stacked(runs, split)
        assert probabilities == pytest.approx(P, abs=1e-6) and labels.tolist() == LABELS.tolist()
    with pytest.raises(FileNotFoundError, match="evaluation tta xception"):
        ensemble.stacked(runs, tta=True)
    np.savez(runs[0].folder / ensemble.TTA, private=P[2], model="")
    assert ensemble.stacked(runs[:1], tta=True)[0][0] == pytest.approx(P[2])


def test_runs_on_other_images_are_not_stacked(store):
    runs = [store("xception", P[0], LABELS), store("resnet18", P[1], (LABELS + 1) % 7)]
    for bad in (runs, []):
        with pytest.raises(ValueError, match="runs"):
            ensemble.stacked(bad)


FACES = RNG.integers(0, 256, (3, 48, 48), dtype=np.uint8)


def test_five_places_the_other_preprocessing_and_their_mirror_images():
    found = ensemble.crops(FACES, 255 - FACES, shift=3)
    assert found.shape == (ensemble.CROPS, 3, 48, 48) and found.dtype == np.uint8
    assert np.array_equal(found[0], FACES) and np.array_equal(found[5], 255 - FACES)
    assert np.array_equal(found[6:], found[:6, :, :, ::-1])
    low, high = slice(3, None), slice(None, -3)  # moved by 3 px: what was at 0 is at 3, or the other way round
    for view, (y, x) in zip(found[1:5], [(low, low), (low, high), (high, low), (high, high)], strict=True):
        before = [high if place is low else low for place in (y, x)]
        assert np.array_equal(view[:, y, x], FACES[(slice(None), *before)])
    assert (found[1][:, :3, :3] == FACES[:, :1, :1]).all()  # the border is repeated
    assert all(np.array_equal(view, FACES) for view in ensemble.crops(FACES, FACES, shift=0)[:5])


def test_bad_input():
    for images, others, shift in [(FACES[0], FACES, 2), (FACES, FACES[:2], 2), (FACES, FACES, 48), (FACES, FACES, -1)]:
        with pytest.raises(ValueError, match="images"):
            ensemble.crops(images, others, shift=shift)
    for probabilities in (P[:, 1:], P[0], P[:0]):
        with pytest.raises(ValueError, match="probabilities"):
            ensemble.fit_weights(probabilities, LABELS)


def test_the_mean_over_crops_is_recorded_for_the_shipped_file(store, drawn, monkeypatch):
    store("resnet18", np.zeros((2, 7)), [0, 1])
    path = tiny_onnx.write(paths.models_dir() / "resnet18.onnx")
    private = drawn.split("PrivateTest").images
    monkeypatch.setattr(faces, "load_landmarks", len)
    monkeypatch.setattr(faces, "align_all", lambda found, landmarks: (found[:, ::-1], landmarks))
    assert ensemble.record_tta("resnet18", drawn) == Run("resnet18").folder / "tta.npz"
    found = ensemble.read_tta("resnet18")
    crops = ensemble.crops(private, private[:, ::-1])
    expected = np.mean([tiny_onnx.expected(to_inputs(crop)) for crop in crops], axis=0)
    assert found["private"] == pytest.approx(expected, abs=1e-5)
    assert str(found["model"]) == digest(path)
