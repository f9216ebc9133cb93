"""Each corruption changes what it says, more with every strength, and nothing else."""

import cv2
import numpy as np
import pytest

from fer_utils.evaluation import corruptions

# Half light, half dark, with a little texture: every turn, blur or bar changes it more than the one before.
FACES = np.full((6, 48, 48), 60, np.uint8)
FACES[:, :, 24:] = 200
FACES += cv2.GaussianBlur(np.random.default_rng(2).integers(0, 80, (48, 48), dtype=np.uint8), (0, 0), 1.0)


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_every_strength_is_further_away_than_the_one_before(name):
    before = FACES.copy()
    found = [corruptions.apply(FACES, name, strength) for strength in corruptions.STRENGTHS]
    assert all(faces.shape == FACES.shape and faces.dtype == np.uint8 for faces in found)
    away = [np.abs(faces.astype(int) - FACES).mean() for faces in found]
    assert away == sorted(away) and away[0] > 0 and len(set(away)) == 5
    assert np.array_equal(FACES, before)
    assert np.array_equal(found[2], corruptions.apply(FACES, name, 3))
    assert len({corruptions.describe(name, strength) for strength in corruptions.STRENGTHS}) == 5


def test_a_rotation_turns_by_so_many_degrees():
    face = np.zeros((1, 49, 49), np.uint8)
    face[0, 24, 24:] = 255  # a ray to the right
    turned = corruptions.apply(face, "rotation", 5)[0]
    y, x = np.argwhere(turned > 60).mean(0) - 24
    assert abs(np.degrees(np.arctan2(abs(y), x)) - corruptions.DEGREES[4]) < 4


@pytest.mark.parametrize("name, rows", [("eyes covered", corruptions.EYES), ("mouth covered", corruptions.MOUTH)])
def test_a_bar_covers_its_rows_only(name, rows):
    found = corruptions.apply(FACES, name, 5)
    top, bottom = (round(share * 48) for share in rows)
    assert (found[:, top:bottom] == 128).all()
    assert np.array_equal(np.delete(found, np.s_[top:bottom], 1), np.delete(FACES, np.s_[top:bottom], 1))
    half = corruptions.apply(FACES, name, 3)
    assert (half[:, top:bottom] == 128).mean() == pytest.approx(0.6, abs=0.03)


def test_noise_and_light_have_the_size_they_say():
    gray = np.full((20, 48, 48), 128, np.uint8)
    assert corruptions.apply(gray, "noise", 2).std() == pytest.approx(corruptions.NOISE[1], rel=0.05)
    assert corruptions.apply(gray, "low light", 3).mean() == pytest.approx(32, abs=1)
    assert corruptions.apply(gray[:0], "rotation", 1).shape == (0, 48, 48)


@pytest.mark.parametrize("call, words", [
    (lambda: corruptions.apply(FACES, "fog", 1), "name"), (lambda: corruptions.apply(FACES, "blur", 0), "strength"),
    (lambda: corruptions.apply(FACES, "blur", 6), "strength"), (lambda: corruptions.describe("fog", 1), "name"),
    (lambda: corruptions.apply(FACES[0], "blur", 1), "images"),
    (lambda: corruptions.apply(FACES / 255, "blur", 1), "float64"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
