"""Drawing on a frame: small annotators that draw in place, and `annotate`, which puts them together on a copy."""

from __future__ import annotations

import math
from functools import cache
from textwrap import wrap

import cv2
import numpy as np

from fer_utils import data
from fer_utils.faces import Box
from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.tracker import UNCERTAIN, Track

NOTICE = "Apparent expression: what a face looks like, not what a person feels."
NOTICE_SECONDS = 4.0
FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, DARK, GRAY = (255, 255, 255), (24, 24, 28), (70, 70, 76)
SMALL_FACE = 70  # pixels at 480 lines; below, bars would hide more than they tell
CROWD = 3  # faces; beside more of them bars would hide the neighbours
BARS = 7  # classes with bars, the most probable ones
BLOCKS = 6  # a blurred face keeps this many blocks across
Corner = tuple[float, float]  # x and y of the upper left corner
Size = tuple[float, float]  # width and height


@cache
def colors(classes: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """RGB by class, as in the figures. Every label is written out too, so nobody has to tell colours apart."""
    found = {name: tuple(bytes.fromhex(code[1:])) for name, code in data.class_colors(classes).items()}
    return found | {UNCERTAIN: (140, 140, 140)}


def annotate(result: Result, *, fps: float | None = None, blur: bool = False) -> np.ndarray:
    """A copy of a result's frame (uint8 [H, W, 3] RGB) with faces, notice and `fps`; `blur` hides lost faces too.

    Nothing that is drawn hides a face other than its own, or leaves the frame, as long as there is room elsewhere.
    """
    canvas, tracks = result.frame.image.copy(), result.tracks
    if blur:
        for box in (*result.hidden, *(track.box for track in tracks)):
            blur_face(canvas, box)
    layout = Layout(canvas.shape, [track.box for track in tracks], margin=_line(canvas))
    if result.frame.time < NOTICE_SECONDS or result.frame.name:
        draw_notice(canvas, layout)
    if fps is not None:
        draw_fps(canvas, layout, fps)
    for track in tracks:
        draw_box(canvas, track)
    for number, track in enumerate(tracks):
        draw_label(canvas, track, layout, number)
    for track in tracks if len(tracks) <= CROWD else ():
        draw_bars(canvas, track, layout)
    return canvas


def blur_face(frame: np.ndarray, box: Box) -> None:
    """Replace a face (the box with a fifth around it) by a few blocks of mean colour. It cannot be undone."""
    x, y, width, height = box
    left, top = max(int(x - 0.2 * width), 0), max(int(y - 0.2 * height), 0)
    part = frame[top : max(int(y + 1.2 * height), 0), left : max(int(x + 1.2 * width), 0)]
    if part.size:
        blocks = cv2.resize(part, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(blocks, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def draw_notice(frame: np.ndarray, layout: Layout) -> None:
    """What the labels are, in up to three lines and a third of the frame; at the bottom, or where it hides least."""
    plates = [_Plate(frame, *wrap(NOTICE, -(-len(NOTICE) // count))) for count in (1, 2, 3)]
    low = [plate for plate in plates if 3 * plate.size[1] <= layout.height] or plates[:1]
    plate = max(low, key=lambda plate: plate.scale)  # the first of equal ones
    right, bottom = layout.width - plate.size[0], layout.height - plate.size[1]
    corners = np.array([(0, bottom), (0, 0), (right, bottom), (right, 0)])
    _draw(frame, plate, layout, layout.free(corners, plate.size) or layout.least(corners, plate.size), DARK)


def draw_fps(frame: np.ndarray, layout: Layout, fps: float) -> None:
    """Frames a second in a corner, if one is free."""
    plate, gap = _Plate(frame, f"{fps:.0f} FPS"), 8 * _unit(frame)
    right, bottom = layout.width - plate.size[0] - gap, layout.height - plate.size[1] - gap
    corners = np.array([(gap, gap), (right, gap), (gap, bottom), (right, bottom)])
    _draw(frame, plate, layout, layout.free(corners, plate.size), DARK)


def draw_box(frame: np.ndarray, track: Track) -> None:
    """A box around the face, in its class's colour."""
    (x, y, width, height), color = track.box, colors(track.classes)[track.text]
    cv2.rectangle(frame, _point(x, y), _point(x + width, y + height), color, _line(frame), cv2.LINE_AA)


def draw_label(frame: np.ndarray, track: Track, layout: Layout, number: int) -> None:
    """Id, label and confidence of face `number` of a layout: beside the box, in it, or shorter, where there is room."""
    x, y, _, height = track.box
    label = track.text if track.uncertain else f"{track.text} {100 * track.confidence:.0f}%"
    for text in (f"{track.id}: {label}", f"{track.id}: {track.text}", str(track.id)):
        plate = _Plate(frame, text)
        around = layout.around(track.box, plate.size, gap=max(2 * _unit(frame), _line(frame)))
        within = np.array([(x, y), (x, y + height - plate.size[1])])
        if corner := layout.free(around, plate.size) or layout.free(within, plate.size, own=number):
            break
    else:
        corner = layout.least(np.vstack([around, within]), plate.size)
    _draw(frame, plate, layout, corner, colors(track.classes)[track.text])


def draw_bars(frame: np.ndarray, track: Track, layout: Layout) -> None:
    """Bars of probability beside the box, unless the face is small or there is no room."""
    unit, shown = _unit(frame), sorted(np.argsort(track.probabilities)[-BARS:])
    row, size = 17 * unit, (142 * unit, (17 * len(shown) + 6) * unit)
    corner = layout.free(layout.around(track.box, size, gap=8 * unit, beside=True), size)
    if track.box[2] < SMALL_FACE * unit or corner is None:
        return
    layout.take(corner, size)
    left, top = corner
    shaded = frame[int(top) : int(top + size[1]), int(left) : int(left + size[0])]
    shaded[:] = shaded // 3
    start, length = left + 66 * unit, 70 * unit
    for i, index in enumerate(shown):
        name, p, line = track.classes[index], track.probabilities[index], top + 3 * unit + i * row
        _write(frame, _Plate(frame, name, size=0.8), (left + 4 * unit, line), WHITE)
        for end, color in ((start + length, GRAY), (start + length * float(p), colors(track.classes)[name])):
            corners = _point(start, line + 4 * unit), _point(end, line + row - 3 * unit)
            cv2.rectangle(frame, *corners, color, cv2.FILLED)


class _Plate:
    """Lines of text, not wider than the frame, and the `size` in pixels that they take with a `pad` around them."""

    def __init__(self, frame: np.ndarray, *lines: str, size: float = 1.0) -> None:
        unit = size * _unit(frame)
        self.lines, self.pad, self.thickness = lines, 4 * unit, max(1, round(unit))
        widest = max(cv2.getTextSize(line, FONT, 1.0, 1)[0][0] for line in lines)
        self.scale = max(min(0.5 * unit, (frame.shape[1] - 2 * self.pad - 1) / widest), 0.01)
        sizes = [cv2.getTextSize(line, FONT, self.scale, self.thickness)[0] for line in lines]
        wide, self.high = max(width for width, _ in sizes), sizes[0][1]
        self.size = math.ceil(wide + 2 * self.pad), math.ceil(len(lines) * (self.high + self.pad) + self.pad)


def _draw(frame: np.ndarray, plate: _Plate, layout: Layout, corner: Corner | None, back: tuple[int, ...]) -> None:
    """A filled plate with its text, unless there is no place for it."""
    if corner is None:
        return
    layout.take(corner, plate.size)
    (left, top), (width, height) = map(int, corner), plate.size
    frame[top : top + height, left : left + width] = back
    _write(frame, plate, (left, top), DARK if np.dot(back, (0.299, 0.587, 0.114)) > 110 else WHITE)


def _write(frame: np.ndarray, plate: _Plate, corner: Corner, ink: tuple[int, ...]) -> None:
    for number, line in enumerate(plate.lines, 1):
        place = _point(corner[0] + plate.pad, corner[1] + number * (plate.high + plate.pad))
        cv2.putText(frame, line, place, FONT, plate.scale, ink, plate.thickness, cv2.LINE_AA)


def _unit(frame: np.ndarray) -> float:
    """What everything is measured in: 1 at 640 × 480."""
    return max(min(frame.shape[0] / 480, frame.shape[1] / 640), 0.5)


def _line(frame: np.ndarray) -> int:
    """Thickness of a box's line, pixels."""
    return max(1, round(2 * _unit(frame)))


def _point(x: float, y: float) -> tuple[int, int]:
    return round(float(x)), round(float(y))


class Layout:
    """What is taken of a frame of `shape` (height, width): faces and `margin` pixels around, then what gets a place."""

    def __init__(self, shape: tuple[int, ...], boxes: list[Box], *, margin: float) -> None:
        self.width, self.height = shape[1], shape[0]
        self._taken = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], float).reshape(-1, 4)
        self._taken += (-margin, -margin, margin, margin)

    def around(self, box: Box, size: Size, *, gap: float, beside: bool = False) -> np.ndarray:
        """Corners [M, 2] of rectangles above, below, right and left of a box (`beside`: these first), best first.

        Where there is room along an edge, one of them fits: each ends where something else begins.
        """
        (x, y, width, height), (wide, high), taken = box, size, self._taken
        columns = np.concatenate([[x, x + width - wide, 0, self.width - wide], taken[:, 2], taken[:, 0] - wide])
        columns = sorted(columns[(columns >= x - wide) & (columns <= x + width)], key=lambda column: abs(column - x))
        rows = np.concatenate([[y, y + height - high, 0, self.height - high], taken[:, 3], taken[:, 1] - high])
        rows = sorted(rows[(rows >= y - high) & (rows <= y + height)], key=lambda row: abs(row - y))
        flat = [(column, row) for row in (y - high - gap, y + height + gap) for column in columns]
        upright = [(column, row) for column in (x + width + gap, x - wide - gap) for row in rows]
        return np.array(upright + flat if beside else flat + upright).reshape(-1, 2)

    def free(self, corners: np.ndarray, size: Size, *, own: int | None = None) -> Corner | None:
        """The first of some corners [M, 2] where a rectangle is in the frame and hides nothing (but face `own`)."""
        taken = self._taken if own is None else np.delete(self._taken, own, axis=0)
        good = np.flatnonzero(self._fits(corners, size) & (_shared(corners, size, taken).sum(axis=1) == 0))
        return tuple(map(float, corners[good[0]])) if len(good) else None

    def least(self, corners: np.ndarray, size: Size) -> Corner | None:
        """That one of some corners [M, 2] in the frame where a rectangle hides least; None without any."""
        corners = corners[self._fits(corners, size)]
        hidden = _shared(corners, size, self._taken).sum(axis=1)
        return tuple(map(float, corners[np.argmin(hidden)])) if len(corners) else None

    def take(self, corner: Corner, size: Size) -> None:
        """Nothing else is to be drawn there."""
        self._taken = np.vstack([self._taken, (*corner, corner[0] + size[0], corner[1] + size[1])])

    def _fits(self, corners: np.ndarray, size: Size) -> np.ndarray:
        return ((corners >= 0) & (corners + size <= (self.width, self.height))).all(axis=1)


def _shared(corners: np.ndarray, size: Size, taken: np.ndarray) -> np.ndarray:
    """Pixels that rectangles at corners [M, 2] share with others [N, 4]: [M, N]."""
    low = np.maximum(corners[:, None], taken[:, :2])
    high = np.minimum(corners[:, None] + size, taken[:, 2:])
    return np.maximum(high - low, 0).prod(axis=2)
