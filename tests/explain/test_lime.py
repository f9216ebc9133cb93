"""LIME's maps of models whose reasons are known."""

import numpy as np
import pytest
import tiny_onnx

from fer_utils import explain
from fer_utils.explain import choose_examples, explain_classes, superpixels
from fer_utils.explain._lime import Explanation
from fer_utils.faces import to_input
from fer_utils.models import Classifier

PATCH = slice(60, 90), slice(30, 66)  # rows and columns of the 96-px input that decide for class 3


def watcher(inputs):
    """Class 3 is the contrast inside PATCH, class 4 the lack of it."""
    assert inputs.dtype == np.float32 and inputs.shape[1:] == (96, 96, 3) and inputs.max() <= 255
    contrast = inputs[:, PATCH[0], PATCH[1], 0].std((1, 2)) / 120
    probabilities = np.full((len(inputs), 7), 0.02, np.float32)
    probabilities[:, 3] = 0.9 * np.clip(contrast, 0, 1)
    probabilities[:, 4] = 0.9 - probabilities[:, 3]
    return probabilities


def test_lime_finds_what_the_model_looks_at(face):
    found = explain.explain(watcher, face, label=3, samples=300)
    inside = np.zeros((96, 96), bool)
    inside[PATCH] = True
    reached = np.isin(np.arange(len(found.weights)), found.segments[inside])
    assert found.score > 0.9 and reached[found.top(5)].all() and 0 < reached.sum() < len(reached) / 2
    assert np.abs(found.weights[~reached]).max() < 0.1 * found.weights.max()
    assert found.heat[inside].mean() > 3 * abs(found.heat[~inside].mean())
    assert found.prediction[3] == pytest.approx(watcher(to_input(face)[None])[0, 3])


def test_the_map_is_that_of_lime_itself(face):
    from lime.lime_image import LimeImageExplainer

    found = explain.explain(watcher, face, label=3, seed=4, samples=120)
    theirs = LimeImageExplainer(random_state=4).explain_instance(
        to_input(face).astype(np.uint8), lambda images: watcher(np.float32(images)), labels=(3,), top_labels=None,
        num_features=len(found.weights), num_samples=120, segmentation_fn=lambda _: found.segments, random_seed=4,
    )
    weights = [weight for _, weight in sorted(theirs.local_exp[3])]
    assert found.weights == pytest.approx(weights, abs=1e-6) and found.score == pytest.approx(theirs.score, abs=1e-6)


def test_the_opposite_class_has_opposite_weights(face):
    happy, sad = explain_classes(watcher, face, labels=(3, 4), samples=200)
    np.testing.assert_allclose(happy.weights, -sad.weights, atol=1e-6)
    np.testing.assert_array_equal(explain.explain(watcher, face, label=4, samples=200).weights, sad.weights)


def test_the_seed_decides(face):
    first, again, other = (explain.explain(watcher, face, label=3, seed=seed, samples=150) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)
    assert np.corrcoef(first.weights, other.weights)[0, 1] > 0.7


def test_classes_share_their_samples_and_nothing_is_printed(face, capfd):
    asked = []

    def counting(inputs):
        asked.append(len(inputs))
        return watcher(inputs)

    explain_classes(counting, face, labels=(3, 4, 0), samples=130)
    assert asked == [64, 64, 2] and capfd.readouterr() == ("", "")


def test_works_on_an_onnx_classifier(tmp_path, face):
    with Classifier(tiny_onnx.write(tmp_path / "tiny.onnx")) as classifier:
        found = explain.explain(classifier.predict, face, label=0, samples=20)
    assert found.weights.shape == (found.segments.max() + 1,) and np.isfinite(found.weights).all()


@pytest.mark.parametrize("options, name", [
    ({"labels": (7,)}, "labels"), ({"labels": (-1,)}, "labels"), ({"labels": ()}, "labels"),
    ({"labels": (0,), "samples": 5}, "samples"),
])
def test_bad_arguments(face, options, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        explain_classes(watcher, face, **options)


def test_what_chance_can_move_is_left_out(face):
    random = np.random.default_rng(7)

    def noisy(inputs):
        return watcher(inputs) + random.normal(0, 0.05, (len(inputs), 7)).astype(np.float32)

    (found,) = explain.explain_averaged(noisy, face, labels=(3,), samples=300)
    truth = explain.explain(watcher, face, label=3, samples=900).weights
    assert found.error == pytest.approx((found.weights - truth)[np.abs(truth) < 0.02].std(), rel=0.5)
    told = np.unique(found.segments[np.isfinite(found.heat)])
    assert truth[told].min() > 0.02 and found.weights.argmax() in told and len(told) < len(truth) / 2
    with pytest.raises(ValueError, match="^seeds:"):
        explain.explain_averaged(watcher, face, labels=(3,), seeds=(1,))


def test_superpixels_fit_a_face(face):
    image = to_input(face).astype(np.uint8)
    found = superpixels(image)
    assert np.array_equal(np.unique(found), np.arange(found.max() + 1)) and 30 <= found.max() + 1 <= 60
    np.testing.assert_array_equal(found, superpixels(image))
    assert superpixels(image, count=12).max() < 20


def test_top_takes_positive_weights_only():
    segments = np.repeat(np.arange(4), 24)[:, None].repeat(96, axis=1)
    found = Explanation(np.zeros((96, 96), np.uint8), segments, np.array([0.1, -0.5, 0.3, 0.0]), 0, np.zeros(7), 1.0)
    assert found.top(5).tolist() == [2, 0] and found.top(1).tolist() == [2]
    assert found.heat[30, 0] == -0.5


def test_confident_hits_and_misses_are_chosen():
    labels, probabilities = np.array([0, 0, 0, 0, 0, 1, 0]), np.full((7, 7), 0.01)
    told = [(0, 0.8), (0, 0.9), (0, 0.9), (2, 0.7), (3, 0.95), (0, 0.99), (0, 0.5)]
    for row, (predicted, confidence) in enumerate(told):
        probabilities[row, predicted] = confidence
    right, wrong = choose_examples(labels, probabilities, label=0, correct=2, wrong=5)
    assert right.tolist() == [1, 0], "row 2 is row 1's twin, row 5 is of another class"
    assert wrong.tolist() == [4, 3]
    right, wrong = choose_examples(labels, probabilities, label=1, correct=2)
    assert right.tolist() == wrong.tolist() == [5], "of a class that is never recognized the best is taken"
    right, wrong = choose_examples(labels, probabilities, label=6)
    assert right.size == wrong.size == 0


def test_the_public_face_is_documented():
    assert all(getattr(explain, name).__doc__ for name in explain.__all__)
