"""Drawing on a frame: small annotators that draw in place, and `annotate`, which puts them together on a copy."""

import cv2
import numpy as np

from fer_utils import data
from fer_utils.data import CLASSES
from fer_utils.faces import Box
from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.tracker import UNCERTAIN, Track

NOTICE = "Apparent expression: what a face looks like, not what a person feels."
NOTICE_SECONDS = 4.0
# RGB by class, as in the figures. Every label is written out too, so nobody has to tell colours apart.
COLORS = {name: tuple(bytes.fromhex(code[1:])) for name, code in data.COLORS.items()} | {UNCERTAIN: (140, 140, 140)}
FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, DARK, GRAY = (255, 255, 255), (24, 24, 28), (70, 70, 76)
SMALL_FACE = 70  # pixels at 480 lines; below, bars would hide more than they tell
CROWD = 3  # faces; beside more of them bars would hide the neighbours
BLOCKS = 6  # a blurred face keeps this many blocks across


def annotate(result: Result, *, fps: float | None = None, blur: bool = False) -> np.ndarray:
    """A copy of a result's frame (uint8 [H, W, 3] RGB) with faces, notice and `fps`; `blur` hides lost faces too."""
    canvas, tracks = result.frame.image.copy(), result.tracks
    if blur:
        for box in (*result.hidden, *(track.box for track in tracks)):
            blur_face(canvas, box)
    for draw in (draw_box, draw_label, draw_bars) if len(tracks) <= CROWD else (draw_box, draw_label):
        for track in tracks:
            draw(canvas, track)
    if fps is not None:
        _text(canvas, f"{fps:.0f} FPS", (8 * _unit(canvas), 8 * _unit(canvas)), back=DARK)
    if result.frame.time < NOTICE_SECONDS or result.frame.name:
        _text(canvas, NOTICE, (0, canvas.shape[0]), back=DARK)
    return canvas


def blur_face(frame: np.ndarray, box: Box) -> None:
    """Replace a face (the box with a fifth around it) by a few blocks of mean colour. It cannot be undone."""
    x, y, width, height = box
    left, top = max(int(x - 0.2 * width), 0), max(int(y - 0.2 * height), 0)
    part = frame[top : max(int(y + 1.2 * height), 0), left : max(int(x + 1.2 * width), 0)]
    if part.size:
        blocks = cv2.resize(part, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(blocks, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def draw_box(frame: np.ndarray, track: Track) -> None:
    """A box around the face, in its class's colour."""
    x, y, width, height = track.box
    thickness = max(1, round(2 * _unit(frame)))
    cv2.rectangle(frame, _point(x, y), _point(x + width, y + height), COLORS[track.text], thickness, cv2.LINE_AA)


def draw_label(frame: np.ndarray, track: Track) -> None:
    """Id, label and confidence above the box, or below it where there is no room."""
    (x, y, _, height), unit = track.box, _unit(frame)
    text = track.text if track.uncertain else f"{track.text} {100 * track.confidence:.0f}%"
    top = y - 22 * unit if y > 22 * unit else y + height + 4 * unit
    _text(frame, f"{track.id}: {text}", (x, top), back=COLORS[track.text])


def draw_bars(frame: np.ndarray, track: Track) -> None:
    """Seven bars of probability beside the box, unless the face is small."""
    (x, y, width, _), unit = track.box, _unit(frame)
    if width < SMALL_FACE * unit:
        return
    row, panel, right = 17 * unit, 142 * unit, x + width + 8 * unit
    left = right if right + panel <= frame.shape[1] else x - 8 * unit - panel
    left = min(max(left, 0), max(frame.shape[1] - panel, 0))
    top = min(max(y, 0), max(frame.shape[0] - len(CLASSES) * row - 4 * unit, 0))
    shaded = frame[int(top) : int(top + len(CLASSES) * row + 6 * unit), int(left) : int(left + panel)]
    shaded[:] = shaded // 3
    start, length = left + 66 * unit, 70 * unit
    for i, (name, p) in enumerate(zip(CLASSES, track.probabilities, strict=True)):
        line = top + 3 * unit + i * row
        _text(frame, name, (left + 4 * unit, line), size=0.8)
        for end, color in ((start + length, GRAY), (start + length * float(p), COLORS[name])):
            corners = _point(start, line + 4 * unit), _point(end, line + row - 3 * unit)
            cv2.rectangle(frame, *corners, color, cv2.FILLED)


def _unit(frame: np.ndarray) -> float:
    """What everything is measured in: 1 at 480 lines."""
    return max(frame.shape[0] / 480, 0.35)


def _text(frame: np.ndarray, text: str, corner: tuple[float, float], *, size: float = 1.0, back=None) -> None:
    """Text whose upper left corner is `corner`, kept inside the frame; on a filled plate when a colour is given."""
    unit = size * _unit(frame)
    pad, thickness, (widest, _) = 4 * unit, max(1, round(unit)), cv2.getTextSize(text, FONT, 1.0, 1)[0]
    scale = max(min(0.5 * unit, (frame.shape[1] - 2 * pad) / widest), 0.01)
    (width, height), _ = cv2.getTextSize(text, FONT, scale, thickness)
    x = min(max(corner[0], 0), max(frame.shape[1] - width - 2 * pad, 0))
    y = min(max(corner[1], 0), max(frame.shape[0] - height - 2 * pad, 0))
    if back is not None:
        cv2.rectangle(frame, _point(x, y), _point(x + width + 2 * pad, y + height + 2 * pad), back, cv2.FILLED)
    ink = DARK if back is not None and np.dot(back, (0.299, 0.587, 0.114)) > 110 else WHITE
    cv2.putText(frame, text, _point(x + pad, y + pad + height), FONT, scale, ink, thickness, cv2.LINE_AA)


def _point(x: float, y: float) -> tuple[int, int]:
    return round(float(x)), round(float(y))
