"""Twelve views, and their mean."""

import numpy as np
import pytest

from fer_utils.evaluation import tta

FACES = np.random.default_rng(5).integers(0, 256, (3, 48, 48), dtype=np.uint8)
OTHERS = 255 - FACES


def test_five_places_the_other_picture_and_their_mirror_images():
    found = tta.views(FACES, OTHERS, shift=3)
    assert found.shape == (tta.COUNT, 3, 48, 48) and found.dtype == np.uint8
    assert np.array_equal(found[0], FACES) and np.array_equal(found[5], OTHERS)
    assert np.array_equal(found[6:], found[:6, :, :, ::-1])
    low, high = slice(3, None), slice(None, -3)  # moved by 3 px: what was at 0 stands at 3, or the other way round
    for view, (y, x) in zip(found[1:5], [(low, low), (low, high), (high, low), (high, high)], strict=True):
        before = [high if place is low else low for place in (y, x)]
        assert np.array_equal(view[:, y, x], FACES[:, *before])


def test_the_border_is_repeated():
    moved = tta.views(FACES, OTHERS, shift=3)[1]
    assert all(np.array_equal(moved[:, row, 3:], FACES[:, 0, :-3]) for row in range(4))
    assert (moved[:, :3, :3] == FACES[:, :1, :1]).all()


def test_no_shift_and_no_face():
    assert all(np.array_equal(view, FACES) for view in tta.views(FACES, OTHERS, shift=0)[:5])
    assert tta.views(FACES[:0], FACES[:0]).shape == (tta.COUNT, 0, 48, 48)


def test_the_answer_is_the_mean_over_views_and_judges():
    def left(faces):  # share of light in the left half: mirroring swaps it
        share = faces[..., :24].sum((1, 2)) / faces.sum((1, 2))
        return np.stack([share, 1 - share, *[0 * share] * 5], axis=1)

    def sure(faces):
        return np.tile(np.eye(7)[0], (len(faces), 1))

    assert tta.predict([left], FACES, OTHERS)[:, 0] == pytest.approx(0.5, abs=0.01)
    both = tta.predict([left, sure], FACES, OTHERS)
    assert both.dtype == np.float32 and both[:, 0] == pytest.approx(0.75, abs=0.01)
    assert both.sum(1) == pytest.approx(1)


@pytest.mark.parametrize("call, words", [
    (lambda: tta.views(FACES[0], OTHERS), "images"), (lambda: tta.views(FACES.astype(float), OTHERS), "float64"),
    (lambda: tta.views(FACES, OTHERS[:2]), "others"), (lambda: tta.views(FACES, OTHERS / 255), "others"),
    (lambda: tta.views(FACES, OTHERS, shift=48), "shift"), (lambda: tta.views(FACES, OTHERS, shift=-1), "shift"),
    (lambda: tta.predict([], FACES, OTHERS), "judges"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
