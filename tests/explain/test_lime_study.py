"""LIME over many faces, with a network whose answers are known."""

import dataclasses

import numpy as np
import pytest

from fer_utils.data import CLASSES
from fer_utils.explain import faithfulness as trust
from fer_utils.explain import study as lime_study
from fer_utils.faces import alignment, landmarks

POINTS = np.array([[14.5, 18], [32.5, 18], [23.5, 28.3], [16, 37], [31, 37]], np.float32)
MOUTH = (slice(64, 84), slice(30, 66))  # of the 96-px input


def smiling(inputs):
    """Probability of every class: how uneven the mouth is, against the face as it came."""
    spread = inputs[:, MOUTH[0], MOUTH[1], 0].std((1, 2)) / 80
    return np.repeat(np.minimum(1, spread)[:, None], 7, axis=1).astype(np.float32)


@pytest.fixture
def found(drawn):
    told = landmarks.Landmarks.empty(len(drawn.labels))
    told.points[:], told.scores[:], told.passes[:] = POINTS, 1, 1
    return told


@pytest.fixture
def noisy(drawn):
    rng = np.random.default_rng(0)
    return dataclasses.replace(drawn, images=rng.integers(0, 256, drawn.images.shape, dtype=np.uint8))


def test_chosen_faces_are_of_the_class_and_can_be_read(noisy, found):
    blank, profile, missing = np.flatnonzero(noisy.labels == CLASSES.index("Angry"))[:3]
    noisy.images[blank] = 7
    found.points[profile, 1] = found.points[profile, 0] + 4
    found.passes[missing] = 0
    rows = lime_study.choose_faces(noisy, found, classes=("Angry", "Surprise"), each=10_000)
    counts = np.bincount(noisy.labels, minlength=7)
    assert len(rows) == counts[CLASSES.index("Angry")] - 3 + counts[CLASSES.index("Surprise")]
    assert not {blank, profile, missing} & set(rows)
    few = lime_study.choose_faces(noisy, found, classes=("Surprise",), each=3)
    assert len(few) == 3 and set(few) <= set(rows) and (np.diff(few) > 0).all()
    assert (few == lime_study.choose_faces(noisy, found, classes=("Surprise",), each=3)).all()
    with pytest.raises(ValueError, match="must be among"):
        lime_study.choose_faces(noisy, found, classes=("Anger",))
    with pytest.raises(ValueError, match="1 or more"):
        lime_study.choose_faces(noisy, found, classes=("Angry",), each=0)


def test_a_network_that_looks_at_the_mouth_is_found_out(noisy, found):
    rows = lime_study.choose_faces(noisy, found, classes=("Angry", "Disgust"), each=2)
    told = []
    result = lime_study.study(smiling, noisy, rows, found, samples=400, progress=lambda *done: told.append(done))
    assert (result.rows == rows).all() and (result.labels == noisy.labels[rows]).all() and len(result) == 4
    assert told[-1] == (4, 4)
    mouth = trust.REGIONS.index("mouth")
    surplus = result.weight.mean(0) / result.area.mean(0)
    assert surplus.argmax() == mouth and surplus[mouth] > 1.5
    assert result.weight.sum(1) == pytest.approx(1) and result.area.sum(1) == pytest.approx(1)
    assert (result.areas("deletion") < result.areas("random_deletion")).all()
    assert (result.areas("insertion") > result.areas("random_insertion")).all()
    assert (result.spearman > 0).all() and (result.top_iou > 0.4).all() and (result.score > 0.5).all()
    first = result.faithfulness()[0]
    assert first.area("insertion") == pytest.approx(result.areas("insertion")[0])
    assert first.deletion[0] == pytest.approx(result.probability[0])


def test_landmarks_move_with_an_aligned_face(noisy, found):
    turned = landmarks.Landmarks.empty(len(noisy.labels))
    turned.points[:] = (POINTS - 23.5) @ np.array([[0.94, 0.34], [-0.34, 0.94]]) * 0.9 + 23.5
    turned.scores[:], turned.passes[:] = 1, 1
    row = np.array([0])
    result = lime_study.study(smiling, noisy, row, turned, aligned=True, samples=60, steps=4)
    plain = lime_study.study(smiling, noisy, row, found, samples=60, steps=4)
    # Upright again: the parts of the face lie where those of the template do.
    assert result.area == pytest.approx(plain.area, abs=0.02)
    face = alignment.align(noisy.images[0], turned.points[0])
    assert result.probability[0] == pytest.approx(smiling(lime_study.explain.to_input(face)[None])[0, 0], abs=1e-6)


def test_part_of_a_study(noisy, found):
    result = lime_study.study(smiling, noisy, np.array([0, 1]), found, samples=40, steps=3, orders=1)
    part = result.take(result.rows == 1)
    assert len(part) == 1 and part.rows[0] == 1 and part.areas("deletion") == result.areas("deletion")[1]
    assert part.share is result.share


@pytest.mark.parametrize("changes, words", [({"seeds": (1,)}, "two or more"), ({"rows": []}, "at least one face")])
def test_bad_studies(noisy, found, changes, words):
    arguments = {"rows": np.array([0]), "found": found, **changes}
    with pytest.raises(ValueError, match=words):
        lime_study.study(smiling, noisy, **arguments)


def test_what_a_study_says_in_numbers(noisy, found):
    rows = lime_study.choose_faces(noisy, found, classes=("Angry", "Disgust"), each=2)
    result = lime_study.study(smiling, noisy, rows, found, samples=200)
    told = lime_study.measures(result)
    assert all(len(numbers) == 4 for numbers in told.values())
    assert (told["weight on mouth"] == result.weight[:, trust.REGIONS.index("mouth")]).all()
    assert (told["gain in deletion"] > 0).all() and (told["gain in insertion"] > 0).all()
    beyond = [told[f"weight minus pixels, {region}"] for region in trust.REGIONS]
    assert np.sum(beyond, axis=0) == pytest.approx(0) and beyond[trust.REGIONS.index("mouth")].mean() > 0.05
    table = lime_study.intervals(told)
    assert list(table.index) == list(told) and (table["n"] == 4).all()
    assert table["mean"].to_numpy() == pytest.approx([numbers.mean() for numbers in told.values()])


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    numbers = np.random.default_rng(1).normal(3, 2, 400)
    row = lime_study.intervals({"x": [*numbers, np.nan]}).loc["x"]
    error = 1.96 * numbers.std() / 20
    assert row["n"] == 400 and [row["low"], row["high"]] == pytest.approx(
        [numbers.mean() - error, numbers.mean() + error], abs=0.03
    )
    with pytest.raises(ValueError, match="'x' must hold at least one number"):
        lime_study.intervals({"x": [np.nan]})
