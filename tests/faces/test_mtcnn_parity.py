"""Parity: the ONNX cascade finds what the `mtcnn` package finds. (TensorFlow runs here.)"""

from __future__ import annotations

import numpy as np
import pytest
from face_images import crowd, overlap, pictures, portrait
from mtcnn_package import PackageDetector

from fer_utils.faces import Detector, Face


@pytest.fixture(scope="module", params=[(0.6, 0.7, 0.8), (0.4, 0.5, 0.6)], ids=["default", "low thresholds"])
def detectors(request):
    with Detector(thresholds=request.param) as ours:
        yield ours, PackageDetector(thresholds=request.param)


def partner(face: Face, candidates: list[Face]) -> Face | None:
    best = max(candidates, key=lambda other: overlap(face.box, other.box), default=None)
    return best if best and overlap(face.box, best.box) >= 0.95 else None


@pytest.mark.slow
def test_finds_what_the_package_finds(detectors):
    ours, theirs = detectors
    pairs, images, missed, extra = [], 0, [], []
    for name, image in pictures():
        mine, reference = ours.detect(image), theirs.detect(image)
        matched = [(face, partner(face, mine)) for face in reference]
        pairs += [(face, other) for face, other in matched if other]
        missed += [name for _, other in matched if other is None]
        extra += [name for face in mine if partner(face, reference) is None]
        images += 1
    assert images >= 60 and len(pairs) >= 100
    assert len(missed) <= 0.01 * len(pairs), missed
    assert len(extra) <= 0.01 * len(pairs), extra
    off = [np.abs(a.landmarks - b.landmarks).max() / a.box[2] for a, b in pairs]
    assert max(off) <= 0.02
    # Where two candidates for one face score almost the same, rounding decides which of them is kept.
    scores = sorted(abs(a.score - b.score) for a, b in pairs)
    assert scores[int(0.95 * len(scores))] <= 1e-4 and scores[-1] <= 0.01


def test_same_faces_and_refine_is_the_package_s_third_stage(detectors):
    image, (ours, theirs) = crowd(3), detectors
    reference = theirs.detect(image)
    assert len(reference) == len(ours.detect(image)) == 3
    for face in reference:
        twin = partner(face, ours.detect(image))
        np.testing.assert_allclose(twin.landmarks, face.landmarks, atol=0.02 * face.box[2])
        x, y, width, height = face.box
        shifted = (x + 0.05 * width, y - 0.05 * height, 1.1 * width, 1.2 * height)
        mine, other = ours.refine(image, shifted), theirs.refine(image, shifted)
        np.testing.assert_allclose(mine.box, other.box, atol=0.05)
        np.testing.assert_allclose(mine.landmarks, other.landmarks, atol=0.05)


def test_whole_boxes_are_the_same_too():
    image = portrait()[60:300, 215:420]  # the face is cut off on the left
    options = {"fit_to_image": False, "thresholds": (0.5, 0.5, 0.5)}
    with Detector(**options) as ours:
        mine, reference = ours.detect(image), PackageDetector(**options).detect(image)
    assert len(mine) == len(reference) >= 1
    np.testing.assert_allclose(mine[0].box, reference[0].box, atol=0.05)


def test_a_large_smallest_face_silences_the_package_only():
    """Why `mtcnn.pyramid` counts its levels otherwise; when this fails, the package has been mended."""
    with Detector(min_face_size=40) as ours:
        assert len(ours.detect(portrait())) == 1
    assert PackageDetector(min_face_size=40).detect(portrait()) == []
