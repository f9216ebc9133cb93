from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_onnx

from fer_utils.explain.lime import Explanation, choose, explain, explain_classes, superpixels
from fer_utils.faces import to_input
from fer_utils.models.classifier import Classifier

SIDE = slice(60, 90), slice(30, 66)  # rows and columns of the 96-px input that decide for class 3


def watcher(inputs: np.ndarray) -> np.ndarray:
    """A model whose reasons are known: class 3 is the contrast inside SIDE, class 4 the lack of it."""
    assert inputs.dtype == np.float32 and inputs.shape[1:] == (96, 96, 3) and inputs.max() <= 255
    contrast = inputs[:, SIDE[0], SIDE[1], 0].std((1, 2)) / 120
    probabilities = np.full((len(inputs), 7), 0.02, np.float32)
    probabilities[:, 3] = 0.9 * np.clip(contrast, 0, 1)
    probabilities[:, 4] = 0.9 - probabilities[:, 3]
    return probabilities


@pytest.fixture
def face() -> np.ndarray:
    """A 48-px picture of smooth noise, uint8."""
    import cv2

    coarse = np.random.default_rng(5).integers(0, 256, (12, 12), dtype=np.uint8)
    return cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)


def test_lime_finds_what_the_model_looks_at(face: np.ndarray) -> None:
    found = explain(watcher, face, label=3, samples=300)
    inside = np.zeros((96, 96), bool)
    inside[SIDE] = True
    reached = np.isin(np.arange(len(found.weights)), found.segments[inside])
    assert found.score > 0.9 and reached[found.top(5)].all() and 0 < reached.sum() < len(reached) / 2
    assert np.abs(found.weights[~reached]).max() < 0.1 * found.weights.max()
    assert found.heat[inside].mean() > 3 * abs(found.heat[~inside].mean())
    assert found.prediction[3] == pytest.approx(watcher(to_input(face)[None])[0, 3])


def test_opposite_class_has_opposite_weights(face: np.ndarray) -> None:
    for_it, against = explain_classes(watcher, face, labels=(3, 4), samples=200)
    np.testing.assert_allclose(for_it.weights, -against.weights, atol=1e-6)
    alone = explain(watcher, face, label=4, samples=200)
    np.testing.assert_array_equal(alone.weights, against.weights)


def test_seed_decides(face: np.ndarray) -> None:
    first, again, other = (explain(watcher, face, label=3, seed=seed, samples=150) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)
    assert np.corrcoef(first.weights, other.weights)[0, 1] > 0.7


def test_asks_samples_and_says_nothing(face: np.ndarray, capfd: pytest.CaptureFixture) -> None:
    asked = []

    def counting(inputs: np.ndarray) -> np.ndarray:
        asked.append(len(inputs))
        return watcher(inputs)

    explain_classes(counting, face, labels=(3, 4, 0), samples=130)
    assert sorted(asked) == [1, 2, 64, 64], "one whole face, 130 samples, shared by the three classes"
    assert capfd.readouterr() == ("", "")


def test_works_on_an_onnx_classifier(tmp_path: Path, face: np.ndarray) -> None:
    with Classifier(tiny_onnx.write(tmp_path / "tiny.onnx")) as classifier:
        found = explain(classifier.predict, np.stack([face] * 3, axis=2), label=0, samples=20)
    assert found.weights.shape == (found.segments.max() + 1,) and np.isfinite(found.weights).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": 7}, "labels"), ({"label": -1}, "labels"), ({"label": 0, "samples": 5}, "samples"),
        ({"label": 0, "segments": np.zeros((48, 48), int)}, "segments"),
    ],
)
def test_bad_arguments(face: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explain(watcher, face, **options)


def test_no_labels(face: np.ndarray) -> None:
    with pytest.raises(ValueError, match="labels"):
        explain_classes(watcher, face, labels=())


def test_superpixels_fit_a_face(face: np.ndarray) -> None:
    image = to_input(face).astype(np.uint8)
    found = superpixels(image)
    assert np.array_equal(np.unique(found), np.arange(found.max() + 1))
    assert 30 <= found.max() + 1 <= 60
    np.testing.assert_array_equal(found, superpixels(image))
    assert superpixels(image, n=12).max() < 20


def test_top_takes_positive_weights_only() -> None:
    segments = np.repeat(np.arange(4), 24)[:, None].repeat(96, axis=1)
    found = Explanation(np.zeros((96, 96), np.uint8), segments, np.array([0.1, -0.5, 0.3, 0.0]), 0, np.zeros(7), 1.0, 0)
    assert found.top(5).tolist() == [2, 0] and found.top(1).tolist() == [2]
    assert found.mask(5).mean() == 0.5 and found.heat[30, 0] == -0.5


def test_choose_confident_hits_and_misses() -> None:
    labels = np.array([0, 0, 0, 0, 0, 1, 0])
    probabilities = np.full((7, 7), 0.01)
    sure = [(0, 0.8), (0, 0.9), (0, 0.9), (2, 0.7), (3, 0.95), (0, 0.99), (0, 0.5)]
    for row, (predicted, confidence) in enumerate(sure):
        probabilities[row, predicted] = confidence
    right, wrong = choose(labels, probabilities, label=0, correct=2, wrong=5)
    assert right.tolist() == [1, 0], "row 2 is row 1's twin, row 5 is of another class"
    assert wrong.tolist() == [4, 3]
    right, wrong = choose(labels, probabilities, label=6)
    assert right.size == wrong.size == 0
