"""The embedded sample and the clip, as the package carries them."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pandas as pd
import pytest

from fer_utils import data
from fer_utils.data import CLASSES
from fer_utils.data.sample import SAMPLE
from fer_utils.faces import Detector, fer_landmarks, iou


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    capture, found = cv2.VideoCapture(str(data.clip_path())), []
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    while (got := capture.read())[0]:
        found.append(got[1][..., ::-1])
    capture.release()
    return found


def test_the_sample_loads_like_any_data_and_says_that_it_is_none_of_fer2013(drawn):
    for fer in (drawn, data.load(SAMPLE)):
        assert fer.is_sample and fer.official_splits and "not FER2013" in fer.title_note
        assert (fer.images.shape, fer.images.dtype) == ((3600, 48, 48), np.uint8)
        assert (fer.votes.shape, fer.votes.dtype) == ((3600, 10), np.uint8) and (fer.votes.sum(1) == 10).all()
        digest = hashlib.sha256(fer.images.tobytes() + fer.labels.tobytes() + fer.usage.tobytes() + fer.votes.tobytes())
        assert digest.hexdigest() == SHA256, "stored results on the sample hold for these arrays"


SHA256 = "f5918575edfdab9a0091ca2a28b120242d6d1d18f753d9b503734b4e191b163d"


def test_the_sample_has_fer2013s_proportions_and_faults(drawn):
    counts = drawn.counts()
    assert counts.min() >= 1 and counts.sum(1).tolist() == [2880, 361, 359]
    assert counts.sum(0).argmax() == CLASSES.index("Happy") and counts.sum(0).argmin() == CLASSES.index("Disgust")
    assert len(data.training_indices(drawn)) <= counts[0].sum() - 5
    labels = pd.Series(drawn.labels).groupby(data.image_hashes(drawn.images)).nunique()
    assert labels.max() > 1 and (np.ptp(drawn.images, axis=(1, 2)) == 0).sum() == 2
    agree = (np.array(data.classes.VOTE_CLASSES)[drawn.votes[:, :7].argmax(1)] == drawn.labels).mean()
    assert 0.6 < agree < 0.9


def test_a_quick_classifier_learns_the_sample_but_not_perfectly(drawn):
    from skimage.feature import hog
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    some = drawn.take(np.arange(0, len(drawn), 3))
    options = {"orientations": 8, "pixels_per_cell": (8, 8), "cells_per_block": (2, 2)}
    features = np.array([hog(image, **options) for image in some.images])
    train = some.usage == 0
    model = make_pipeline(PCA(60, whiten=True, random_state=0), LogisticRegression(C=0.1, max_iter=300))
    model.fit(features[train], some.labels[train])
    accuracy = model.score(features[~train], some.labels[~train])
    majority = np.bincount(some.labels[~train]).max() / (~train).sum()
    assert majority + 0.2 < accuracy < 0.95


def test_mtcnn_takes_the_drawings_for_faces(drawn):
    images = drawn.images[drawn.images.std((1, 2)) > 0][:60]
    assert np.isfinite(fer_landmarks(images).points[:, 0, 0]).mean() > 0.8


def test_the_clip_has_a_truth_for_every_frame(frames):
    truth = data.clip_truth()
    assert len(frames) == len(truth) == 200 and all(frame.shape == (480, 640, 3) for frame in frames)
    for one in truth:
        assert (one.box is None) == (one.label is None) and one.label in (None, "Happy")
        assert one.expected == (one.visible >= 0.7)
        if one.box:
            x, y, w, h = one.box
            across, down = min(x + w, 640) - max(x, 0), min(y + h, 480) - max(y, 0)
            assert one.visible == pytest.approx(across * down / (w * h), abs=0.002)


def test_the_face_moves_grows_leaves_and_returns():
    truth = data.clip_truth()
    expected = [one.expected for one in truth]
    assert len(np.flatnonzero(np.diff(expected))) == 2, "one exit, one return"
    out = [one for one in truth if one.box is None]
    assert len(out) >= 25 and len(truth) - sum(expected) - len(out) <= 4, "partly visible frames must stay few"
    widths = [one.box[2] for one in truth if one.expected]
    centres = [one.box[0] + one.box[2] / 2 for one in truth if one.expected]
    assert max(widths) > 2 * min(widths) and max(centres) - min(centres) > 300


def test_the_detector_finds_the_face_where_it_is_and_nothing_else(frames):
    pairs = list(zip(frames, data.clip_truth(), strict=True))
    some = [pair for pair in pairs if pair[1].expected][::6] + [pair for pair in pairs if pair[1].box is None][::6]
    with Detector(min_face_size=24) as detector:
        small = [cv2.resize(frame, (320, 240), interpolation=cv2.INTER_AREA) for frame, _ in some]
        found = detector.detect_batch(np.stack(small))
    hits = 0
    for (_, truth), faces in zip(some, found, strict=True):
        if truth.box is None:
            assert not faces
        else:
            hits += any(iou(tuple(2 * v for v in face.box), truth.box) > 0.6 for face in faces)
    assert hits >= 0.95 * sum(truth.expected for _, truth in some)
