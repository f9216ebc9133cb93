"""Landmarks of FER2013-like faces: the way into MTCNN and back, the mirrored view, the file and its lookup."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from face_images import portrait

from fer_utils import data, paths
from fer_utils.faces import (
    ATTEMPTS,
    TEMPLATE,
    Attempt,
    ImageError,
    Landmarks,
    fer_landmarks,
    landmarks,
    load_landmarks,
    search,
)


def face48() -> np.ndarray:
    """The portrait's face as FER2013 would frame it."""
    face = cv2.cvtColor(portrait()[56:178, 163:285], cv2.COLOR_RGB2GRAY)
    return cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def drawn12():
    return data.load("sample").take(np.arange(12))


def test_a_face_is_found_in_its_own_coordinates():
    found = fer_landmarks(face48()[None])
    assert found.found.all() and found.points.shape == (1, 5, 2) and found.points.dtype == np.float32
    # Read off the picture with the eye: pupils, tip of the nose, corners of the mouth.
    by_eye = np.array([[15, 19], [31, 17], [24, 28], [16, 33], [32, 33]])
    np.testing.assert_allclose(found.points[0], by_eye, atol=2.5)
    x, y, width, height = found.boxes[0]
    assert 0 < x < 15 and -5 < y < 10 and 25 < width < 45 and 30 < height < 55


def test_the_mirrored_face_has_mirrored_landmarks():
    plain, mirrored = fer_landmarks(np.stack([face48(), face48()[:, ::-1]])).points
    back = mirrored[[1, 0, 2, 4, 3]] * (-1, 1) + (47, 0)
    np.testing.assert_allclose(plain, back, atol=1e-3)  # both views are the same two images
    without = [search(face[None], Attempt(mirror=False)).points[0] for face in (face48(), face48()[:, ::-1])]
    assert np.abs(without[0] - (without[1][[1, 0, 2, 4, 3]] * (-1, 1) + (47, 0))).max() > 0.1


def test_a_moved_face_moves_its_landmarks():
    wide = cv2.copyMakeBorder(face48(), 6, 6, 6, 6, cv2.BORDER_REPLICATE)
    here, there = fer_landmarks(np.stack([wide[6:54, 6:54], wide[9:57, 4:52]])).points
    np.testing.assert_allclose(there - here, np.tile([2, -3], (5, 1)), atol=1.2)


@pytest.mark.parametrize("image", [np.zeros((48, 48), np.uint8), np.full((48, 48), 255, np.uint8),
                                   np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)],
                         ids=["black", "white", "noise"])
def test_no_face(image):
    found = fer_landmarks(image[None])
    assert not found.found.any() and np.isnan(found.points).all() and np.isnan(found.boxes).all()
    assert found.scores[0] == 0


def test_order_and_batches_do_not_matter(drawn12, monkeypatch):
    whole = fer_landmarks(drawn12.images, workers=1)
    monkeypatch.setattr(landmarks, "BATCH", 5)
    calls = []
    again = fer_landmarks(drawn12.images[::-1], workers=3, progress=lambda done, total: calls.append((done, total)))
    np.testing.assert_allclose(again.points[::-1], whole.points, atol=1e-3)
    assert calls == [(5, 12), (10, 12), (12, 12)]


def test_a_later_attempt_takes_what_the_first_left():
    blind = Attempt(thresholds=(0.6, 0.7, 1.0))
    found = fer_landmarks(np.stack([face48(), np.zeros((48, 48), np.uint8)]), attempts=(blind, ATTEMPTS[0]))
    assert found.attempts.tolist() == [2, 0]


@pytest.mark.parametrize("images", [
    np.zeros((2, 48, 48)), np.zeros((48, 48), np.uint8), np.zeros((2, 48, 48, 3), np.uint8),
    np.zeros((1, 1, 1), np.uint8),
], ids=["float", "one image", "RGB", "1 × 1"])
def test_not_fer2013(images):
    with pytest.raises(ImageError, match=r"images must be uint8 \[N, 48, 48\], gray; got"):
        fer_landmarks(images)


def test_no_images():
    assert len(fer_landmarks(np.empty((0, 48, 48), np.uint8))) == 0


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    """An empty place instead of models/landmarks.npz, and an empty cache."""
    monkeypatch.setattr(landmarks, "landmarks_path", lambda: tmp_path / "landmarks.npz")
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "landmarks.npz"


def stored_file(fer, path) -> Landmarks:
    """A file that claims recognizable landmarks: row number added to the template."""
    rows = np.arange(len(fer), dtype=np.float32)
    claimed = Landmarks(TEMPLATE + rows[:, None, None] / 8, 0.5 + rows / 64, np.stack([rows] * 4, 1),
                        np.ones(len(fer), np.uint8))
    landmarks._save(path, data.image_hashes(fer.images), claimed)
    return claimed


def test_load_matches_by_pixels_in_any_order_and_subset(drawn12, own_file):
    claimed = stored_file(drawn12, own_file)
    for index in ([0, 1, 2], [11, 3, 3, 7], list(range(12))[::-1], []):
        loaded = load_landmarks(drawn12.take(np.array(index, int)))
        np.testing.assert_allclose(loaded.points, claimed.points[index], atol=0.02)
        np.testing.assert_array_equal(loaded.boxes, claimed.boxes[index])
        assert loaded.scores.dtype == loaded.points.dtype == np.float32


def test_load_finds_only_what_the_file_does_not_know(drawn12, own_file, monkeypatch):
    claimed = stored_file(drawn12.take(np.arange(10)), own_file)
    loaded = load_landmarks(drawn12)
    np.testing.assert_allclose(loaded.points[:10], claimed.points, atol=0.02)
    fresh = fer_landmarks(drawn12.images[10:])
    np.testing.assert_allclose(loaded.points[10:], fresh.points, atol=1e-3)
    # The second time nothing is searched: the cache has the two.
    monkeypatch.setattr(landmarks, "fer_landmarks", lambda *_, **__: pytest.fail("searched again"))
    np.testing.assert_allclose(load_landmarks(drawn12).points[10:], fresh.points, atol=0.02)


def test_a_changed_pixel_is_another_image(drawn12, own_file):
    stored_file(drawn12, own_file)
    images = drawn12.images.copy()
    images[4, 0, 0] ^= 1
    loaded = load_landmarks(replace(drawn12, images=images))
    assert loaded.scores[4] != pytest.approx(0.5 + 4 / 64, abs=1e-3)
    assert loaded.scores[5] == pytest.approx(0.5 + 5 / 64, abs=1e-3)


def test_a_file_with_pickled_objects_is_not_read(drawn12, own_file):
    np.savez(own_file, hashes=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load_landmarks(drawn12)


def test_a_stopped_recording_goes_on(drawn12, tmp_path, monkeypatch):
    target, calls = tmp_path / "landmarks.npz", []

    def search_and_stop(images, **options):
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fer_landmarks(images, **options)

    monkeypatch.setattr(landmarks, "fer_landmarks", search_and_stop)
    with pytest.raises(KeyboardInterrupt):
        landmarks.record(drawn12, target=target, chunk=5)
    assert not target.exists()
    landmarks.record(drawn12, target=target, chunk=5)
    assert calls == [5, 5, 5, 2]  # the first five were not searched again
    assert not list(paths.checkpoint_dir().glob("landmarks_*"))  # and another recording starts anew
    with np.load(target, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["hashes"], data.image_hashes(drawn12.images))
        np.testing.assert_allclose(stored["points"], fer_landmarks(drawn12.images).points, atol=0.02)


@pytest.mark.real_data
def test_recorded_landmarks_are_fer2013_s(real_data):
    loaded = load_landmarks(real_data)
    training = loaded.take(real_data.usage == 0)
    assert loaded.found.mean() > 0.97
    np.testing.assert_allclose(np.nanmedian(training.points, axis=0), TEMPLATE, atol=0.6)
    rows = np.random.default_rng(1).choice(len(real_data), 24, replace=False)
    again = fer_landmarks(real_data.images[rows])
    np.testing.assert_array_equal(again.found, loaded.found[rows])
    np.testing.assert_allclose(again.points, loaded.points[rows], atol=0.05)


def test_recorded_file_is_small_and_made_of_numbers():
    path = landmarks.landmarks_path()
    if not path.exists():
        pytest.skip("no recorded landmarks in models/")
    assert path.stat().st_size < 3_000_000
    with np.load(path, allow_pickle=False) as stored:
        assert {name: stored[name].dtype.kind for name in stored.files} == {
            "hashes": "u", "attempts": "u", "points": "f", "scores": "f", "boxes": "f"}
