"""Faces found and not found, one image and many, images that are none; and the cascade's steps against plain loops."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from face_images import crowd, overlap, people, portrait
from tiny_onnx import NO_NETWORKS

from fer_utils.faces import LANDMARKS, Detector, Face, ImageError, ModelError, mtcnn


@pytest.fixture(scope="module")
def detector():
    with Detector() as found:
        yield found


def test_one_face(detector):
    (face,) = detector.detect(portrait())
    assert overlap(face.box, (182, 64, 83, 107)) > 0.95
    assert 0.99 < face.score <= 1
    assert face.landmarks.shape == (len(LANDMARKS), 2) and face.landmarks.dtype == np.float32
    x, y, width, height = face.box
    assert (face.landmarks > (x, y)).all() and (face.landmarks < (x + width, y + height)).all()
    left_eye, right_eye, nose, mouth_left, mouth_right = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0] and mouth_left[0] < mouth_right[0]
    assert left_eye[1] < nose[1] < mouth_left[1]


def test_no_face(detector):
    black, flag = np.zeros((120, 160, 3), np.uint8), portrait()[300:, :120]
    for image in (black, flag, people(start=104)):
        assert detector.detect(image) == []


@pytest.mark.parametrize("count", [2, 4])
def test_several_faces_best_first(detector, count):
    found = detector.detect(crowd(count))
    scores = [face.score for face in found]
    assert len(found) == count and scores == sorted(scores, reverse=True)


def test_different_people(detector):
    assert len(detector.detect(people())) >= 20  # of 24, enlarged from 25 px


def same(a: list[Face], b: list[Face]) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one.box, other.box, atol=1e-2)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-2)
        assert one.score == pytest.approx(other.score, abs=1e-4)


def test_batch_is_the_same_as_one_by_one(detector):
    images = np.stack([crowd(3), crowd(1), np.zeros((480, 640, 3), np.uint8), crowd(4)])
    for image, found in zip(images, detector.detect_batch(images), strict=True):
        same(found, detector.detect(image))
    assert detector.detect_batch(images[:0]) == []


def test_more_images_than_fit_into_one_call(monkeypatch):
    image = portrait()[:200, 140:340]
    with Detector(threads=1) as detector:
        alone = detector.detect(image)
        monkeypatch.setattr(mtcnn, "MAX_STACK_ROWS", 600)
        monkeypatch.setattr(mtcnn, "MAX_PIXELS", 90_000)
        monkeypatch.setattr(mtcnn, "MAX_CROPS", 7)
        for found in detector.detect_batch(np.stack([image] * 5)):
            same(found, alone)


def test_a_view_is_read_and_not_changed(detector):
    image = crowd(2)
    before = image.copy()
    same(detector.detect(image[:, ::-1]), detector.detect(image[:, ::-1].copy()))
    np.testing.assert_array_equal(image, before)


def test_a_smallest_face_above_the_package_s_limit():
    for smallest, count in ((60, 1), (300, 0)):
        with Detector(min_face_size=smallest) as detector:
            assert len(detector.detect(portrait())) == count


def test_a_search_for_larger_faces_finds_the_same_ones_in_less_time(detector):
    image = cv2.resize(portrait(), None, fx=2, fy=2)
    same(detector.detect(image, min_face_size=100), detector.detect(image))
    assert detector.detect(image, min_face_size=500) == []


def test_known_faces_are_left_out_and_others_stay_as_they_are(detector):
    first, second, third = detector.detect(crowd(3))
    same(detector.detect(crowd(3), known=[first.box, third.box]), [second])
    same(detector.detect(crowd(3), known=[(0, 0, 30, 30)]), [first, second, third])


def test_boxes_are_cut_at_the_border_or_whole():
    image = portrait()[60:300, 215:420]
    low = (0.5, 0.5, 0.5)
    with Detector(thresholds=low) as fitted, Detector(thresholds=low, fit_to_image=False) as whole:
        cut, full = fitted.detect(image)[0].box, whole.detect(image)[0].box
    assert cut[0] == 0 and full[0] < 0
    assert full[0] + full[2] == pytest.approx(cut[2], abs=1e-3)


def test_refine_follows_a_face_that_moved(detector):
    (face,) = detector.detect(portrait())
    x, y, width, height = face.box
    refined = detector.refine(portrait(), (x + 8, y - 6, width, height))
    assert overlap(refined.box, face.box) > 0.85
    np.testing.assert_allclose(refined.landmarks, face.landmarks, atol=0.04 * width)
    assert detector.refine(portrait(), (20, 350, 90, 110)) is None


def test_refine_refuses_a_box_without_area(detector):
    for box in ((0, 0, 0, 10), (0, 0, 10, -1), (np.nan, 0, 10, 10), (0, np.inf, 10, 10)):
        with pytest.raises(ValueError, match="box: "):
            detector.refine(portrait(), box)


@pytest.mark.parametrize("image", [
    np.zeros((60, 60), np.uint8), np.zeros((60, 60, 4), np.uint8), np.zeros((0, 60, 3), np.uint8),
    np.zeros((60, 60, 3), np.float32), np.zeros((1, 1, 3), np.uint8), np.zeros((2, 60, 60, 3), np.uint8), "face.png",
], ids=["gray", "RGBA", "empty", "float", "1 × 1", "a batch", "a text"])
def test_not_an_image(detector, image):
    for call in (detector.detect, lambda image: detector.refine(image, (0, 0, 20, 20))):
        with pytest.raises(ImageError, match="image: "):
            call(image)


def test_an_error_says_what_came(detector):
    with pytest.raises(ImageError, match=r"images: .*\[N, H, W, 3\].*got uint8 \[60, 60, 3\]"):
        detector.detect_batch(np.zeros((60, 60, 3), np.uint8))


@pytest.mark.parametrize("options", [
    {"min_face_size": 5}, {"thresholds": (0.5, 0.5)}, {"thresholds": (0.5, 0.5, 7)}, {"threads": -1},
])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}: "):
        Detector(**options)


def test_a_closed_detector_says_so():
    with Detector() as detector:
        pass
    detector.close()
    with pytest.raises(RuntimeError, match="closed"):
        detector.detect(portrait())


def test_missing_networks_say_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setattr(mtcnn.paths, "MODELS", tmp_path)
    with pytest.raises(FileNotFoundError, match="python -m tools.mtcnn_export"):
        Detector()


@pytest.mark.parametrize("kind", NO_NETWORKS)
@pytest.mark.parametrize("name", mtcnn.SIDES)
def test_a_network_s_file_that_is_none_is_named(tmp_path, monkeypatch, name, kind):
    for network in mtcnn.SIDES:
        shutil.copy(mtcnn.network_path(network), tmp_path)
    monkeypatch.setattr(mtcnn.paths, "MODELS", tmp_path)
    change, message = NO_NETWORKS[kind]
    file = mtcnn.network_path(name)
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ModelError, match=f"{file.name} {message}") as caught:
        Detector()
    assert "\n" not in str(caught.value)


def test_default_pyramid_is_the_package_s():
    for side in range(21, 2200):
        scales = mtcnn.pyramid(side, 3000, min_face_size=20)
        # mtcnn 1.0's build_scale_pyramid at its default settings
        assert len(scales) == max(round(-((np.log(side / 12) / np.log(0.709)) + 1)), 0), side
        np.testing.assert_allclose(scales, 0.6 * 0.709 ** np.arange(len(scales)))


def test_no_level_is_smaller_than_the_window():
    for smallest in (12, 24, 40, 80, 200, 1000):
        assert all(int(480 * scale) >= 12 for scale in mtcnn.pyramid(480, 640, min_face_size=smallest))


def crop_one(image: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """tf.image.crop_and_resize as its documentation defines it, pixel by pixel."""
    height, width, _ = image.shape
    patch = np.zeros((side, side, 3))
    for i in range(side):
        for j in range(side):
            y = (box[1] + (box[3] - box[1]) * i / (side - 1)) * (height - 1) / height
            x = (box[0] + (box[2] - box[0]) * j / (side - 1)) * (width - 1) / width
            if 0 <= y <= height - 1 and 0 <= x <= width - 1:
                y0, x0 = min(int(y), height - 2), min(int(x), width - 2)
                fy, fx = y - y0, x - x0
                top = image[y0, x0] * (1 - fx) + image[y0, x0 + 1] * fx
                patch[i, j] = top * (1 - fy) + (image[y0 + 1, x0] * (1 - fx) + image[y0 + 1, x0 + 1] * fx) * fy
    return patch


@pytest.mark.parametrize("box", [(10.3, 20.7, 60.1, 80.9), (-15, -20, 30, 25)])
def test_crop_is_bilinear_and_zero_outside(box):
    images = np.random.default_rng(1).normal(size=(3, 60, 80, 3)).astype(np.float32)
    rows = np.array([[2, *box, 0.9], [0, *box, 0.9]])
    for patch, number in zip(mtcnn.crop(images, rows, 24), (2, 0), strict=True):
        np.testing.assert_allclose(patch, crop_one(images[number], np.array(box), 24), atol=0.02)
    assert mtcnn.crop(images, rows[:0], 24).shape == (0, 24, 24, 3)
