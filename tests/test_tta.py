"""Ten views, and their mean."""

import numpy as np
import pytest

from fer_utils import tta

FACES = np.random.default_rng(5).integers(0, 256, (3, 48, 48), dtype=np.uint8)


def test_five_windows_and_their_mirror_images():
    found = tta.views(FACES, crop=24)
    assert found.shape == (10, 3, 48, 48) and found.dtype == np.uint8
    assert np.array_equal(found[5:], found[:5, :, :, ::-1])
    # 24 px enlarged to 48: each window's mean is that of its own quarter of the face.
    for view, (y, x) in zip(found[:5], [(12, 12), (0, 0), (0, 24), (24, 0), (24, 24)], strict=True):
        assert view.mean((1, 2)) == pytest.approx(FACES[:, y : y + 24, x : x + 24].mean((1, 2)), abs=3)


def test_the_whole_face_is_a_window_too():
    found = tta.views(FACES, crop=48)
    assert all(np.array_equal(view, FACES) for view in found[:5])
    assert tta.views(FACES[:0]).shape == (10, 0, 48, 48)


def test_the_answer_is_the_mean_over_views_and_judges():
    def left(faces):  # share of light in the left half: mirroring swaps it
        share = faces[..., :24].sum((1, 2)) / faces.sum((1, 2))
        return np.stack([share, 1 - share, *[0 * share] * 5], axis=1)

    def sure(faces):
        return np.tile(np.eye(7)[0], (len(faces), 1))

    assert tta.predict([left], FACES)[:, 0] == pytest.approx(0.5, abs=0.01)
    both = tta.predict([left, sure], FACES)
    assert both.dtype == np.float32 and both[:, 0] == pytest.approx(0.75, abs=0.01)
    assert both.sum(1) == pytest.approx(1)


@pytest.mark.parametrize("call, words", [
    (lambda: tta.views(FACES[0]), "images"), (lambda: tta.views(FACES.astype(float)), "float64"),
    (lambda: tta.views(FACES, crop=49), "crop"), (lambda: tta.views(FACES, crop=0), "crop"),
    (lambda: tta.predict([], FACES), "judges"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
