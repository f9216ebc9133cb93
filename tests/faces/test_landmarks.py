"""Landmarks of FER2013-like faces: the way into MTCNN and back, the mirrored image, the file and its lookup."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from face_images import portrait

from fer_utils import data
from fer_utils.faces import (
    TEMPLATE,
    ImageError,
    Landmarks,
    align,
    align_all,
    fer_landmarks,
    landmarks,
    load_landmarks,
)
from fer_utils.faces.landmarks import PASSES, DetectorConfig


def face48() -> np.ndarray:
    """The portrait's face as FER2013 would frame it."""
    face = cv2.cvtColor(portrait()[56:178, 163:285], cv2.COLOR_RGB2GRAY)
    return cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def sample12():
    return data.load("sample").take(np.arange(12))


def test_a_face_is_found_in_its_own_coordinates():
    found = fer_landmarks(face48()[None])
    assert found.found.all() and found.points.shape == (1, 5, 2) and found.points.dtype == np.float32
    # Read off the picture with the eye: pupils, tip of the nose, corners of the mouth.
    by_eye = np.array([[15, 19], [31, 17], [24, 28], [16, 33], [32, 33]])
    np.testing.assert_allclose(found.points[0], by_eye, atol=2.5)


def test_the_mirrored_face_has_mirrored_landmarks():
    both = np.stack([face48(), face48()[:, ::-1]])
    plain, mirrored = fer_landmarks(both), fer_landmarks(both[::-1]).mirrored()
    np.testing.assert_allclose(plain.points, mirrored.points, atol=1e-3)  # both searched the same two images
    alone = DetectorConfig(mirror=False)
    assert np.abs(alone.search(both).points - alone.search(both[::-1]).mirrored().points).max() > 0.1


def test_a_moved_face_moves_its_landmarks():
    wide = cv2.copyMakeBorder(face48(), 6, 6, 6, 6, cv2.BORDER_REPLICATE)
    here, there = fer_landmarks(np.stack([wide[6:54, 6:54], wide[9:57, 4:52]])).points
    np.testing.assert_allclose(there - here, np.tile([2, -3], (5, 1)), atol=1.2)


def test_no_face_and_no_image():
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    found = fer_landmarks(np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise]))
    assert not found.found.any() and not found.scores.any()
    assert np.isnan(found.points).all()
    assert len(fer_landmarks(np.empty((0, 48, 48), np.uint8))) == 0


def test_order_and_batches_do_not_matter(sample12, monkeypatch):
    whole = fer_landmarks(sample12.images)
    monkeypatch.setattr(landmarks, "BATCH", 5)
    again = fer_landmarks(sample12.images[::-1])
    np.testing.assert_allclose(again.points[::-1], whole.points, atol=1e-3)
    np.testing.assert_array_equal(again.passes[::-1], whole.passes)


def test_a_later_pass_takes_what_the_first_left():
    blind = DetectorConfig(thresholds=(0.6, 0.7, 1.0))
    found = fer_landmarks(np.stack([face48(), np.zeros((48, 48), np.uint8)]), passes=(blind, PASSES[0]))
    assert found.passes.tolist() == [2, 0]


def test_not_fer2013():
    for images in (np.zeros((2, 48, 48)), np.zeros((48, 48), np.uint8), np.zeros((2, 48, 48, 3), np.uint8)):
        with pytest.raises(ImageError, match="images: "):
            fer_landmarks(images)


def test_unknown_border():
    with pytest.raises(ValueError, match="border: .*reflect.*'black'"):
        DetectorConfig(border="black")


def test_prepared_points_lie_where_the_margin_moves_them():
    config = DetectorConfig(margin=12, image_size=144)
    dot = np.zeros((1, 48, 48), np.uint8)
    dot[0, 20, 30] = 255
    weight = config.prepare(dot)[0, :, :, 0].astype(float)
    weight[weight < 10] = 0  # the gray margin
    centre = [(weight.sum(axis=axis) * np.arange(144)).sum() / weight.sum() for axis in (0, 1)]
    np.testing.assert_allclose(config.to_prepared(np.array([30, 20])), centre, atol=0.1)


def test_align_all_leaves_images_without_a_face_unaligned():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 48, 48), dtype=np.uint8)
    points = Landmarks.empty(3)
    points.points[1], points.passes[1], points.scores[1] = TEMPLATE + 4, 1, 0.9
    aligned, flags = align_all(images, points)
    assert flags.tolist() == [False, True, False]
    np.testing.assert_array_equal(aligned[[0, 2]], images[[0, 2]])
    np.testing.assert_array_equal(aligned[1], align(images[1], TEMPLATE + 4))
    assert aligned is not images
    with pytest.raises(ValueError, match="landmarks: .*got 2 and 3"):
        align_all(images[:2], points)


def test_a_small_face_must_reach_the_confidence_threshold():
    points = Landmarks.empty(5)
    for row, (shrink, score) in enumerate([(1, 0.5), (2, 0.9), (2, 0.97), (0.5, 0.6)]):
        points.points[row], points.scores[row], points.passes[row] = 24 + (TEMPLATE - 24) / shrink, score, 1
    np.testing.assert_allclose(points.scales, [1, 2, 2, 0.5, np.nan], rtol=1e-5)
    assert points.confident.tolist() == [True, False, True, True, False]
    assert align_all(np.zeros((5, 48, 48), np.uint8), points)[1].tolist() == [True, False, True, True, False]


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    """An empty place instead of models/landmarks.npz, and an empty cache."""
    monkeypatch.setattr(landmarks, "FILE", tmp_path / "landmarks.npz")
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "landmarks.npz"


def stored_file(fer, path) -> Landmarks:
    """A file that claims recognizable landmarks: row number added to the template."""
    rows = np.arange(len(fer), dtype=np.float32)
    claimed = Landmarks(TEMPLATE + rows[:, None, None] / 8, 0.5 + rows / 64, np.ones(len(fer), np.uint8))
    landmarks._write(path, data.image_hashes(fer.images), claimed)
    return claimed


def test_load_matches_by_pixels_in_any_order_and_subset(sample12, own_file):
    claimed = stored_file(sample12, own_file)
    for index in ([0, 1, 2], [11, 3, 3, 7], list(range(12))[::-1], []):
        loaded = load_landmarks(sample12.take(np.array(index, int)))
        np.testing.assert_allclose(loaded.points, claimed.points[index], atol=0.02)
        np.testing.assert_allclose(loaded.scores, claimed.scores[index], atol=1e-3)
        assert loaded.scores.dtype == loaded.points.dtype == np.float32


def test_load_finds_only_what_the_file_does_not_know(sample12, own_file, monkeypatch):
    claimed = stored_file(sample12.take(np.arange(10)), own_file)
    loaded = load_landmarks(sample12)
    np.testing.assert_allclose(loaded.points[:10], claimed.points, atol=0.02)
    np.testing.assert_allclose(loaded.points[10:], fer_landmarks(sample12.images[10:]).points, atol=0.02)
    # The second time nothing is searched, and the cache says the same.
    monkeypatch.setattr(landmarks, "fer_landmarks", lambda *_, **__: pytest.fail("searched again"))
    np.testing.assert_array_equal(load_landmarks(sample12).points, loaded.points)


def test_a_changed_pixel_is_another_image(sample12, own_file):
    stored_file(sample12, own_file)
    images = sample12.images.copy()
    images[4, 0, 0] ^= 1
    loaded = load_landmarks(replace(sample12, images=images))
    assert loaded.scores[4] != pytest.approx(0.5 + 4 / 64, abs=1e-3)
    assert loaded.scores[5] == pytest.approx(0.5 + 5 / 64, abs=1e-3)


def test_a_file_with_pickled_objects_is_not_read(sample12, own_file):
    np.savez(own_file, hashes=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load_landmarks(sample12)


def test_stored_landmarks_are_those_found_now(sample12, own_file):
    assert landmarks.store_landmarks(sample12) == own_file
    with np.load(own_file, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["hashes"], data.image_hashes(sample12.images))
        np.testing.assert_allclose(stored["points"], fer_landmarks(sample12.images).points, atol=0.02)


@pytest.mark.real_data
def test_stored_landmarks_are_fer2013_s(real_data):
    loaded = load_landmarks(real_data)
    training = loaded.take(real_data.usage == 0)
    assert loaded.found.mean() > 0.97
    np.testing.assert_allclose(np.nanmedian(training.points, axis=0), TEMPLATE, atol=0.6)
    rows = np.random.default_rng(1).choice(len(real_data), 24, replace=False)
    again = fer_landmarks(real_data.images[rows])
    np.testing.assert_array_equal(again.found, loaded.found[rows])
    np.testing.assert_allclose(again.points, loaded.points[rows], atol=0.05)


def test_stored_file_is_small_and_made_of_numbers():
    assert landmarks.FILE.stat().st_size < 3_000_000
    with np.load(landmarks.FILE, allow_pickle=False) as stored:
        assert {name: stored[name].dtype.kind for name in stored.files} == {
            "hashes": "u", "passes": "u", "points": "f", "scores": "f", "boxes": "f"}
