"""What is drawn on a frame, and that a blurred face is gone."""

from __future__ import annotations

from dataclasses import replace

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
    lengths = {name: (panel == overlay.colors(CLASSES)[name]).all(axis=2).sum() for name in CLASSES}
    assert max(lengths, key=lengths.get) == "Sad"


@pytest.mark.parametrize("count", [2, 12])
def test_any_number_of_classes_is_drawn_inside_the_frame(count):
    classes = tuple(f"class {i}" for i in range(count))
    p = np.full(count, 0.5 / count, np.float32)
    p[-1] += 0.5
    track = a_track(box=(200, 400, 120, 75))
    track = replace(track, classes=classes, raw=p, probabilities=p, label=classes[-1])
    panel = drawn(BLACK, track)[:, 330:480]
    assert changed(BLACK, drawn(BLACK, track))[:300].sum() == 0
    lengths = [(panel == color).all(axis=2).sum() for color in {overlay.colors(classes)[name] for name in classes}]
    assert np.array(lengths).max() == (panel == overlay.colors(classes)[classes[-1]]).all(axis=2).sum() > 0


def test_uncertain_is_gray():
    assert tuple(drawn(BLACK, a_track(uncertain=True))[225, 200]) == overlay.colors(CLASSES)["uncertain"]


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


def overlap(a, b) -> bool:
    """Whether two rectangles (left, top, width, height) share a pixel."""
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


@pytest.fixture
def plates(monkeypatch) -> list[tuple[float, ...]]:
    """What gets a place in the frames that are drawn, in order: (left, top, width, height)."""
    seen = []

    class Recorded(overlay.Layout):
        def take(self, corner, size) -> None:
            super().take(corner, size)
            seen.append((*corner, *size))

    monkeypatch.setattr(overlay, "Layout", Recorded)
    return seen


FRAMES = [(480, 640), (1920, 1080), (120, 160), (720, 1280)]


@pytest.mark.parametrize("shape", FRAMES, ids=lambda shape: f"{shape[1]}x{shape[0]}")
@pytest.mark.parametrize("count", [1, 3, 4, 12])
def test_plates_and_bars_hide_no_other_face_and_stay_in_the_frame(plates, shape, count):
    rng = np.random.default_rng(count)
    for _ in range(6):
        size = rng.uniform(0.1, 0.3) * min(shape)
        boxes = [(*rng.uniform(0, np.array(shape[::-1]) - size), size, 1.2 * size) for _ in range(count)]
        plates.clear()
        drawn(np.zeros((*shape, 3), np.uint8), *(a_track(box=box, number=i + 1) for i, box in enumerate(boxes)))
        assert len(plates) >= count, "each face has its label"
        for i, plate in enumerate(plates):
            left, top, width, height = plate
            assert left >= 0 and top >= 0 and left + width <= shape[1] and top + height <= shape[0]
            hidden = [box for k, box in enumerate(boxes) if k != i and overlap(plate, box)]
            hidden += [other for other in plates[:i] if overlap(plate, other)]
            assert not hidden or not has_room(shape, boxes[i], plate[2:], boxes + plates[:i]), (boxes[i], plate)


def has_room(shape, box, size, taken, gap=5) -> bool:
    """Whether a rectangle of `size` fits anywhere along an edge of a box, by trying every place."""
    (x, y, width, height), (wide, high) = box, size
    places = [(column, row) for column in np.arange(x - wide, x + width) for row in (y - high - gap, y + height + gap)]
    places += [(column, row) for row in np.arange(y - high, y + height) for column in (x - wide - gap, x + width + gap)]
    wider = [(a - gap, b - gap, c + 2 * gap, d + 2 * gap) for a, b, c, d in taken]
    return any(
        0 <= column <= shape[1] - wide and 0 <= row <= shape[0] - high
        and not any(overlap((column, row, wide, high), other) for other in wider if other[:2] != (x - gap, y - gap))
        for column, row in places
    )


@pytest.mark.parametrize("shape", [*FRAMES, (40, 60), (2000, 90)], ids=lambda shape: f"{shape[1]}x{shape[0]}")
def test_the_notice_is_whole_and_hides_no_face_where_it_can(plates, shape):
    height, width = shape
    face = (0.2 * width, 0.5 * height, 0.5 * width, 0.5 * height)
    drawn(np.zeros((*shape, 3), np.uint8), a_track(box=face), time=0.0, fps=25)
    left, top, wide, high = plates[0]
    assert left == 0 and wide <= width and high <= height / 3
    assert top == 0, "the face is at the bottom"


def test_faces_side_by_side_share_the_room(plates):
    boxes = [(5 + 158.0 * i, 100, 150, 180) for i in range(4)]
    drawn(NOISE, *(a_track(box=box, number=i + 1, label="Surprise") for i, box in enumerate(boxes)))
    assert [top for _, top, *_ in plates] == [plates[0][1]] * 4
    assert [left for left, *_ in plates] == [box[0] for box in boxes]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_blurred_face_is_gone(hidden):
    box = (200.0, 150.0, 120.0, 150.0)
    after = drawn(NOISE, blur=True, hidden=[box]) if hidden else drawn(NOISE, a_track(box=box), blur=True)
    inner = after[160:290, 210:310]
    assert len(np.unique(inner.reshape(-1, 3), axis=0)) <= 36, "six blocks across, of one colour each"
    edges = cv2.Laplacian(cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY), cv2.CV_64F).std()
    assert edges < 0.1 * cv2.Laplacian(cv2.cvtColor(NOISE, cv2.COLOR_RGB2GRAY), cv2.CV_64F).std()
    assert np.array_equal(after[400:, :150], NOISE[400:, :150])
