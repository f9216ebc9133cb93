"""Similarity transforms recover what made the points, and aligned faces are where the template wants them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from face_images import portrait

from fer_utils.faces import TEMPLATE, Detector, ImageError, align, align_points
from fer_utils.faces.alignment import roll, similarity, transform


def turned(points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    a = np.radians(angle)
    return scale * points @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + shift


@pytest.mark.parametrize(("angle", "scale"), [(-170, 0.3), (-40, 4), (0, 1), (15, 0.3), (90, 4)])
def test_recovers_a_known_similarity(angle, scale):
    target = turned(TEMPLATE, angle, scale, (7, -3))
    matrix = similarity(TEMPLATE, target)
    np.testing.assert_allclose(TEMPLATE @ matrix[:, :2].T + matrix[:, 2], target, atol=1e-4)
    assert np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])) == pytest.approx(angle, abs=1e-4)
    assert np.hypot(*matrix[:, 0]) == pytest.approx(scale, rel=1e-5)


def test_is_umeyama_s_solution():
    rng = np.random.default_rng(5)
    source, target = rng.normal(size=(2, 9, 2))
    a, b = source - source.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(b.T @ a / 9)
    sign = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (d * sign).sum() / a.var(0).sum()
    np.testing.assert_allclose(similarity(source, target)[:, :2], scale * rotation, atol=1e-10)


def test_never_mirrors():
    mirrored = TEMPLATE * (-1, 1)
    assert np.linalg.det(similarity(TEMPLATE, mirrored)[:, :2]) > 0


@pytest.mark.parametrize("source", [np.full((5, 2), 3.0), np.full((5, 2), np.nan), np.zeros((4, 2)), np.zeros((5, 3))],
                         ids=["one place", "NaN", "too few", "3-D"])
def test_points_without_a_similarity(source):
    with pytest.raises(ValueError, match="source"):
        similarity(source, TEMPLATE)


def test_template_is_symmetrical_and_inside():
    np.testing.assert_allclose(TEMPLATE[[1, 0, 2, 4, 3]] * (-1, 1) + (47, 0), TEMPLATE, atol=1e-5)
    assert (TEMPLATE > 5).all() and (TEMPLATE < 43).all()


def test_aligning_an_aligned_face_changes_nothing():
    image = cv2.resize(portrait()[20:200, 140:320], (48, 48), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(align(image, TEMPLATE).astype(int), image, atol=1)


@pytest.mark.parametrize("angle", [-35, 25])
def test_landmarks_land_on_the_template(angle):
    """Dots painted on the landmarks of a turned, small or large face stand on the template afterwards."""
    points = turned(TEMPLATE - 23.5, angle, 3, (110, 90)).astype(np.float32)
    for number, (x, y) in enumerate(points):
        distance = ((np.mgrid[:200, :220] - [[[y]], [[x]]]) ** 2).sum(axis=0)
        image = (255 * np.exp(-distance / 18)).astype(np.uint8)
        aligned = align(image, points).astype(float)
        rows, columns = np.mgrid[:48, :48]
        centre = np.array([(aligned * columns).sum(), (aligned * rows).sum()]) / aligned.sum()
        np.testing.assert_allclose(centre, TEMPLATE[number], atol=0.15)
        np.testing.assert_allclose(centre, align_points(points)[number], atol=0.15)


def test_a_turned_portrait_comes_out_upright():
    whole = portrait()
    with Detector() as detector:
        straight = align(whole, detector.detect(whole)[0].landmarks)
        turn = cv2.getRotationMatrix2D((225, 110), 25, 0.8)
        crooked = cv2.warpAffine(whole, turn, (512, 512), flags=cv2.INTER_AREA)
        again = align(crooked, detector.detect(crooked)[0].landmarks)
    middle = (slice(10, 40), slice(10, 38))
    assert np.corrcoef(straight[middle].ravel(), again[middle].ravel())[0, 1] > 0.9


def test_a_large_face_is_averaged_not_sampled():
    noise = np.random.default_rng(0).integers(0, 256, (960, 960), dtype=np.uint8)  # finer than a 48-px face can show
    assert align(noise, TEMPLATE * 20 + 9.5).std() < 15 < noise.std()


def test_pixels_beyond_the_border_repeat_it():
    aligned = align(np.full((20, 20, 3), 77, np.uint8), TEMPLATE / 2)
    assert aligned.shape == (48, 48, 3) and (aligned == 77).all()


def test_align_refuses_what_is_no_image():
    for image in (np.zeros((9, 9)), np.zeros((0, 9), np.uint8), np.zeros(9, np.uint8)):
        with pytest.raises(ImageError, match="image: "):
            align(image, TEMPLATE)


def test_align_refuses_a_face_that_was_not_found():
    with pytest.raises(ValueError, match="was a face found"):
        align(np.zeros((48, 48), np.uint8), np.full((5, 2), np.nan))


def test_transform_scales_with_the_size():
    np.testing.assert_allclose(transform(TEMPLATE, size=96), [[2, 0, 0.5], [0, 2, 0.5]], atol=1e-5)


def test_roll_is_the_rotation_of_the_eyes():
    angles = [-50, 0, 30]
    found = roll(np.stack([turned(TEMPLATE, angle, 2, (0, 0)) for angle in angles]))
    np.testing.assert_allclose(found, angles, atol=1e-4)
