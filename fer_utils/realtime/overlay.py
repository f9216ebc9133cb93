"""Drawing on a frame: box, label, probability bars, a notice; or a face made unrecognizable."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from fer_utils.data import CLASSES
from fer_utils.faces import Box
from fer_utils.figures import style
from fer_utils.realtime.tracker import UNCERTAIN, Track

__all__ = ["COLORS", "NOTICE", "NOTICE_SECONDS", "blur_face", "draw"]

NOTICE = "Apparent expression: what a face looks like, not what a person feels."
NOTICE_SECONDS = 4.0

COLORS = {name: tuple(bytes.fromhex(code[1:])) for name, code in style.COLORS.items()} | {UNCERTAIN: (140, 140, 140)}
"""RGB by class, as in the figures. Every label is written out too, so nobody has to tell colours apart."""

FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, DARK = (255, 255, 255), (24, 24, 28)
SMALL_FACE = 70  # pixels at 480 lines; below, bars would hide more than they tell
BLOCKS = 6  # a blurred face keeps this many blocks across


def draw(
    image: np.ndarray, tracks: Sequence[Track], *, fps: float | None = None, notice: str | None = None,
    blur: bool = False, hidden: Sequence[Box] = (),
) -> np.ndarray:
    """A copy of the frame with what was found drawn on it.

    Parameters
    ----------
    image : uint8 [H, W, 3], RGB; not changed.
    tracks : classified tracks (`probabilities` set), boxes in pixels of `image`.
    fps : frames a second to show, None for none. notice : a sentence at the lower edge.
    blur : make faces unrecognizable; `hidden` boxes (faces lost a moment ago) too.

    Returns
    -------
    uint8 [H, W, 3], RGB.
    """
    canvas = np.ascontiguousarray(image).copy()
    unit = max(canvas.shape[0] / 480, 0.35)
    if blur:
        for box in (*hidden, *(track.box for track in tracks)):
            blur_face(canvas, box)
    for track in tracks:
        _draw_track(canvas, track, unit, crowded=len(tracks) > 3)
    if fps is not None:
        _text(canvas, f"{fps:.0f} FPS", (8 * unit, 8 * unit), unit, back=DARK)
    if notice:
        _notice(canvas, notice, unit)
    return canvas


def blur_face(image: np.ndarray, box: Box) -> None:
    """Replace a face (box with a fifth around it) by a few blocks of mean colour, in place. It cannot be undone."""
    x, y, width, height = box
    left, top = max(int(x - 0.2 * width), 0), max(int(y - 0.2 * height), 0)
    right, bottom = min(int(x + 1.2 * width), image.shape[1]), min(int(y + 1.2 * height), image.shape[0])
    if right - left < 1 or bottom - top < 1:
        return
    part = image[top:bottom, left:right]
    blocks = cv2.resize(part, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(blocks, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)


def _draw_track(canvas: np.ndarray, track: Track, unit: float, *, crowded: bool) -> None:
    x, y, width, height = track.box
    color = COLORS[track.text]
    thickness = max(1, round(2 * unit))
    cv2.rectangle(canvas, _point(x, y), _point(x + width, y + height), color, thickness, cv2.LINE_AA)
    text = track.text if track.uncertain else f"{track.text} {100 * track.confidence:.0f}%"
    above = y - 22 * unit
    _text(canvas, f"{track.id}: {text}", (x, above if above > 0 else y + height + 4 * unit), unit, back=color)
    if not crowded and width >= SMALL_FACE * unit:
        _bars(canvas, track, unit)


def _bars(canvas: np.ndarray, track: Track, unit: float) -> None:
    """Seven bars beside the box: on its right, or on its left where there is no room."""
    x, y, width, _ = track.box
    row, panel = 17 * unit, 142 * unit
    left = x + width + 8 * unit if x + width + 8 * unit + panel <= canvas.shape[1] else x - 8 * unit - panel
    left = min(max(left, 0), canvas.shape[1] - panel)
    top = min(max(y, 0), canvas.shape[0] - len(CLASSES) * row - 4 * unit)
    _shade(canvas, left, top, panel, len(CLASSES) * row + 6 * unit)
    for i, (name, p) in enumerate(zip(CLASSES, track.probabilities, strict=True)):
        line = top + 3 * unit + i * row
        _text(canvas, name, (left + 4 * unit, line), 0.8 * unit)
        start, length = left + 66 * unit, 70 * unit
        corner, bottom = _point(start, line + 4 * unit), line + row - 3 * unit
        cv2.rectangle(canvas, corner, _point(start + length, bottom), (70, 70, 76), -1)
        cv2.rectangle(canvas, corner, _point(start + length * float(p), bottom), COLORS[name], -1)


def _notice(canvas: np.ndarray, text: str, unit: float) -> None:
    (width, _), _ = cv2.getTextSize(text, FONT, 1.0, 1)
    scale = min(0.5 * unit, (canvas.shape[1] - 16 * unit) / max(width, 1))
    _shade(canvas, 0, canvas.shape[0] - 26 * unit, canvas.shape[1], 26 * unit)
    place = _point(8 * unit, canvas.shape[0] - 8 * unit)
    cv2.putText(canvas, text, place, FONT, scale, WHITE, max(1, round(unit)), cv2.LINE_AA)


def _text(
    canvas: np.ndarray, text: str, corner: tuple[float, float], unit: float, *,
    back: tuple[int, int, int] | None = None,
) -> None:
    """Text whose upper left corner is `corner`, kept inside the frame; on a filled plate when `back` is given."""
    scale, thickness = 0.5 * unit, max(1, round(unit))
    (width, height), _ = cv2.getTextSize(text, FONT, scale, thickness)
    pad = 4 * unit
    x = min(max(corner[0], 0), max(canvas.shape[1] - width - 2 * pad, 0))
    y = min(max(corner[1], 0), max(canvas.shape[0] - height - 2 * pad, 0))
    if back is not None:
        cv2.rectangle(canvas, _point(x, y), _point(x + width + 2 * pad, y + height + 2 * pad), back, -1)
    ink = DARK if back is not None and np.dot(back, (0.299, 0.587, 0.114)) > 110 else WHITE
    cv2.putText(canvas, text, _point(x + pad, y + pad + height), FONT, scale, ink, thickness, cv2.LINE_AA)


def _shade(canvas: np.ndarray, x: float, y: float, width: float, height: float) -> None:
    left, top = max(int(x), 0), max(int(y), 0)
    part = canvas[top : max(int(y + height), 0), left : max(int(x + width), 0)]
    part[:] = part // 3


def _point(x: float, y: float) -> tuple[int, int]:
    return round(float(x)), round(float(y))
