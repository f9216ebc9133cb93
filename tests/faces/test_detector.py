"""Faces found and not found, one image and many, and pictures that are none."""

from __future__ import annotations

import numpy as np
import pytest
from face_images import crowd, overlap, people, portrait

from fer_utils.faces import LANDMARKS, Detector, Face, ImageError, mtcnn_export


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


@pytest.mark.parametrize("image", [np.zeros((120, 160, 3), np.uint8), portrait()[300:, :120], people(start=104)],
                         ids=["black", "flag", "not faces"])
def test_no_face(detector, image):
    assert detector.detect(image) == []


@pytest.mark.parametrize("count", [2, 3, 4])
def test_several_faces_best_first(detector, count):
    faces = detector.detect(crowd(count))
    assert len(faces) == count
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True)


def test_different_people(detector):
    assert len(detector.detect(people())) >= 20  # of 24, enlarged from 25 px


def same(a: list[Face], b: list[Face]) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one.box, other.box, atol=1e-2)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-2)
        assert one.score == pytest.approx(other.score, abs=1e-4)


def test_batch_is_the_same_as_one_by_one(detector):
    images = np.stack([crowd(3), crowd(1), np.zeros((480, 640, 3), np.uint8), crowd(4)])
    for image, faces in zip(images, detector.detect_batch(images), strict=True):
        same(faces, detector.detect(image))


def test_empty_batch(detector):
    assert detector.detect_batch(np.empty((0, 50, 60, 3), np.uint8)) == []


def test_the_image_stays_as_it_was(detector):
    image = crowd(2)
    before = image.copy()
    detector.detect(image)
    np.testing.assert_array_equal(image, before)


def test_a_view_that_is_not_contiguous(detector):
    image = crowd(2)
    same(detector.detect(image[:, ::-1]), detector.detect(image[:, ::-1].copy()))


def test_a_smallest_face_above_the_package_s_limit():
    with Detector(min_face_size=60) as detector:
        assert len(detector.detect(portrait())) == 1
    with Detector(min_face_size=300) as detector:
        assert detector.detect(portrait()) == []


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


def test_refine_finds_nothing_where_nothing_is(detector):
    assert detector.refine(portrait(), (20, 350, 90, 110)) is None


@pytest.mark.parametrize("box", [(0, 0, 0, 10), (0, 0, 10, -1), (np.nan, 0, 10, 10), (0, np.inf, 10, 10)])
def test_refine_refuses_a_box_without_area(detector, box):
    with pytest.raises(ValueError, match="box must be finite"):
        detector.refine(portrait(), box)


BROKEN = {
    "gray": np.zeros((60, 60), np.uint8), "RGBA": np.zeros((60, 60, 4), np.uint8),
    "empty": np.zeros((0, 60, 3), np.uint8),
    "uint16": np.zeros((60, 60, 3), np.uint16), "float": np.zeros((60, 60, 3), np.float32),
    "1 × 1": np.zeros((1, 1, 3), np.uint8), "a batch": np.zeros((2, 60, 60, 3), np.uint8), "a text": "face.png",
}


@pytest.mark.parametrize("name", BROKEN)
def test_not_a_picture(detector, name):
    with pytest.raises(ImageError, match="image must be"):
        detector.detect(BROKEN[name])
    with pytest.raises(ImageError, match="image must be"):
        detector.refine(BROKEN[name], (0, 0, 20, 20))


def test_an_error_says_what_came(detector):
    with pytest.raises(ImageError, match=r"uint8 \[H, W, 3\], RGB; got float32 \[60, 60, 3\]"):
        detector.detect(BROKEN["float"])
    with pytest.raises(ImageError, match=r"images must be uint8 \[N, H, W, 3\], RGB; got uint8 \[60, 60, 3\]"):
        detector.detect_batch(np.zeros((60, 60, 3), np.uint8))


@pytest.mark.parametrize(("options", "message"), [
    ({"min_face_size": 5}, "min_face_size must be at least 12"),
    ({"thresholds": (0.5, 0.5)}, "thresholds must be three"),
    ({"thresholds": (0.5, 0.5, 7)}, "thresholds must be three"),
    ({"scale_factor": 1.0}, "scale_factor must lie between"),
    ({"threads": -1}, "threads must be 0"), ({"backend": "haar"}, "backend must be one of onnx, mtcnn; got 'haar'"),
])
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Detector(**options)


def test_a_closed_detector_says_so():
    with Detector() as detector:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        detector.detect(portrait())


def test_missing_networks_say_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setattr(mtcnn_export.paths, "MODELS", tmp_path)
    with pytest.raises(FileNotFoundError, match="python -m fer_utils.faces.mtcnn_export"):
        Detector()
