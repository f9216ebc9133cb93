"""What is drawn on a frame, and that a blurred face is gone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_utils.data import CLASSES, COLORS
from fer_utils.realtime import Frame, overlay
from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.overlay import annotate
from fer_utils.realtime.tracker import Track

BLACK = np.zeros((480, 640, 3), np.uint8)
NOISE = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)


def a_track(box=(200.0, 150.0, 120.0, 150.0), label="Happy", p=0.8, uncertain=False, number=1) -> Track:
    probabilities = np.full(7, (1 - p) / 6, np.float32)
    probabilities[CLASSES.index(label)] = p
    return Track(
        box, 0.99, None, time=0, id=number, raw=probabilities, probabilities=probabilities, label=label,
        uncertain=uncertain,
    )


def drawn(image: np.ndarray, *tracks: Track, time: float = 9.0, hidden=(), **options) -> np.ndarray:
    """The annotated frame; after the first seconds, so without the notice."""
    return annotate(Result(Frame(image, time, 0), list(tracks), list(hidden), False), **options)


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


def test_the_frame_itself_is_not_touched():
    before = NOISE.copy()
    after = drawn(NOISE, a_track(), fps=30, time=0, blur=True)
    assert np.array_equal(NOISE, before)
    assert after.shape == NOISE.shape and after.dtype == np.uint8


def test_nothing_found_nothing_drawn():
    assert np.array_equal(drawn(NOISE), NOISE)


def test_the_box_has_the_colour_of_its_class_in_rgb():
    for label in CLASSES:
        wanted = tuple(int(COLORS[label][i : i + 2], 16) for i in (1, 3, 5))
        assert tuple(drawn(BLACK, a_track(label=label))[225, 200]) == wanted


def test_the_label_stands_above_the_box_and_the_bars_beside_it():
    marks = changed(NOISE, drawn(NOISE, a_track()))
    assert marks[130:148, 205:260].all()
    assert marks[170:200, 340:400].mean() > 0.9
    assert not marks[310:].any()
    assert not marks[250, 250], "the face itself stays visible"


def test_the_longest_bar_is_the_label():
    panel = drawn(BLACK, a_track(label="Sad", p=0.9))[:, 330:480]
    lengths = {name: (panel == overlay.COLORS[name]).all(axis=2).sum() for name in CLASSES}
    assert max(lengths, key=lengths.get) == "Sad"


def test_uncertain_is_gray():
    assert tuple(drawn(BLACK, a_track(uncertain=True))[225, 200]) == overlay.COLORS["uncertain"]


def test_notice_and_fps():
    marks = changed(NOISE, drawn(NOISE, fps=31.4, time=1.0))
    assert marks[460:480, :440].mean() > 0.9
    assert marks[8:24, 10:50].mean() > 0.9
    assert not marks[100:400].any()
    assert not changed(NOISE, drawn(NOISE, time=5.0)).any(), "the notice goes after four seconds"
    picture = annotate(Result(Frame(NOISE, 9.0, 9, "face.png"), [], [], True))
    assert changed(NOISE, picture)[460:480, :440].mean() > 0.9, "a picture of its own carries it"


@pytest.mark.parametrize("box", [(-50, -50, 120, 150), (580, 400, 120, 150), (0, 0, 640, 480)])
def test_boxes_over_the_edge(box):
    assert changed(NOISE, drawn(NOISE, a_track(box=tuple(map(float, box))), blur=True)).any()


@pytest.mark.parametrize("shape", [(1, 1), (40, 900), (900, 40), (1080, 1920)])
def test_frames_of_any_size(shape):
    image = np.full((*shape, 3), 77, np.uint8)
    box = (shape[1] * 0.2, shape[0] * 0.2, shape[1] * 0.5, shape[0] * 0.5)
    assert drawn(image, a_track(box=box), fps=30, time=0, blur=True).shape == image.shape


def test_many_faces_get_labels_but_no_bars():
    tracks = [a_track(box=(10 + 150.0 * i, 100, 100, 120), number=i + 1) for i in range(4)]
    assert not changed(NOISE, drawn(NOISE, *tracks))[150:200, 115:155].any()


@pytest.mark.parametrize("hidden", [False, True])
def test_a_blurred_face_is_gone(hidden):
    box = (200.0, 150.0, 120.0, 150.0)
    after = drawn(NOISE, blur=True, hidden=[box]) if hidden else drawn(NOISE, a_track(box=box), blur=True)
    inner = after[160:290, 210:310]
    assert len(np.unique(inner.reshape(-1, 3), axis=0)) <= 36, "six blocks across, of one colour each"
    edges = cv2.Laplacian(cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY), cv2.CV_64F).std()
    assert edges < 0.1 * cv2.Laplacian(cv2.cvtColor(NOISE, cv2.COLOR_RGB2GRAY), cv2.CV_64F).std()
    assert np.array_equal(after[400:, :150], NOISE[400:, :150])
