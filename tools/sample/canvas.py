"""The drawn faces' drawing board: smooth outlines in face coordinates, filled, lined or shaded, and turned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import cv2
import numpy as np

__all__ = ["SCALE", "SIZE", "Canvas", "Look", "bow", "curve", "ellipse"]

SIZE = 48
SCALE = 4  # drawn this many times too large
SHIFT = 4  # fractional bits of OpenCV's polygon coordinates
_FILL, _LINE, _SHADE, _APPLY, _CLIP, _UNCLIP = range(6)


@dataclass(frozen=True)
class Look:
    """Who is drawn, from where and in which light. Lengths in face coordinates, angles in radians, grays 0–255."""

    skin: float
    hair: float
    back: float
    cloth: float
    width: float
    jaw: float
    chin: float
    eye_gap: float
    eye_size: float
    brow: float
    nose: float
    mouth_width: float
    lips: float
    iris: float
    hairstyle: int
    volume: float
    beard: int
    glasses: int
    yaw: float
    roll: float
    scale: float
    shift: tuple[float, float]
    gaze: tuple[float, float]
    light: tuple[float, float]
    contrast: float
    blur: float
    noise: float


@lru_cache
def _basis(n_points: int, closed: bool, per_segment: int = 4) -> np.ndarray:
    """Catmull-Rom spline through `n_points` control points as a matrix [samples, n_points]."""
    t = np.arange(per_segment)[:, None] / per_segment
    weights = np.hstack((-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)) / 2
    segments = n_points if closed else n_points - 1
    rows = np.zeros((segments * per_segment, n_points))
    for s in range(segments):
        for k in range(4):
            i = (s + k - 1) % n_points if closed else min(max(s + k - 1, 0), n_points - 1)
            rows[s * per_segment : (s + 1) * per_segment, i] += weights[:, k]
    return rows if closed else np.vstack((rows, np.eye(n_points)[-1:]))


def curve(points, *, closed: bool = False) -> np.ndarray:
    """A smooth curve through `points` [K, 2], float64 [M, 2]."""
    return _basis(len(points), closed) @ np.asarray(points, float)


def bow(half) -> np.ndarray:
    """A smooth curve symmetric about x = 0, left to right; `half` [K, 2] runs from its middle to its right end."""
    half = np.asarray(half, float)
    return curve(np.concatenate((half[:0:-1] * (-1, 1), half)))


_CIRCLE = np.exp(2j * np.pi * np.arange(20) / 20).view(float).reshape(-1, 2)


def ellipse(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    """An ellipse's outline, float64 [20, 2]."""
    return _CIRCLE * (rx, ry) + (x, y)


class Canvas:
    """A gray picture uint8 [192, 192] and a soft layer of shade over it, both drawn in face coordinates.

    The methods only note what to draw; `render` then places all points at once, which is several times faster.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self._steps: list[tuple] = []
        self._points: list[np.ndarray] = []
        self._raised: list[float] = []

    def fill(self, points: np.ndarray, gray: float, *, raised: float = 0.0) -> None:
        """Fill a closed outline. `raised` lifts points off the head (the nose), which a turned head shows."""
        self._note(_FILL, points, raised, gray)

    def line(self, points: np.ndarray, gray: float, width: float, *, raised: float = 0.0) -> None:
        """Draw an open line, `width` in pixels of the finished 48-px picture."""
        self._note(_LINE, points, raised, gray, max(1, round(width * SCALE * self.look.scale)))

    def shadow(self, points: np.ndarray, strength: float, *, width: float = 0.0, raised: float = 0.0) -> None:
        """Darken (`strength` > 0) or lighten (< 0) an area, or a line when `width` is given; ±1 is ±100 %."""
        if abs(strength) < 0.01:
            return
        self._note(_SHADE, points, raised, 128 * (1 - strength), max(1, round(width * SCALE / 2)) if width else 0)

    def apply_shade(self, sigma: float) -> None:
        """Blur the shade noted so far (`sigma` in finished pixels), multiply the picture by it, start a new layer."""
        self._steps.append((_APPLY, sigma))

    def clip(self, points: np.ndarray) -> None:
        """What is drawn from here to `unclip` stays inside this outline."""
        self._note(_CLIP, points, 0.0, 0)

    def unclip(self) -> None:
        self._steps.append((_UNCLIP, None))

    def _note(self, kind: int, points: np.ndarray, raised: float, gray: float, thick: int = 0) -> None:
        self._steps.append((kind, len(self._points), int(min(max(gray, 0), 255)), thick))
        self._points.append(points)
        self._raised.append(raised)

    def render(self, background: np.ndarray) -> np.ndarray:
        """Draw everything noted over `background` uint8 [192, 192], in place, and return it."""
        sizes = [len(points) for points in self._points]
        placed = self._place(np.concatenate(self._points), np.repeat(self._raised, sizes))
        placed = np.round(placed * (1 << SHIFT)).astype(np.int32)
        ends = list(accumulate(sizes, initial=0))
        full = [placed[start:end] for start, end in pairwise(ends)]
        image, shade = background, np.full((SIZE * SCALE // 2,) * 2, 128, np.uint8)
        for kind, what, *style in self._steps:
            if kind == _FILL:
                cv2.fillPoly(image, [full[what]], style[0], cv2.LINE_AA, SHIFT)
            elif kind == _LINE:
                cv2.polylines(image, [full[what]], False, style[0], style[1], cv2.LINE_AA, SHIFT)
            elif kind == _SHADE and style[1]:
                cv2.polylines(shade, [full[what] // 2], False, style[0], style[1], cv2.LINE_AA, SHIFT)
            elif kind == _SHADE:
                cv2.fillPoly(shade, [full[what] // 2], style[0], cv2.LINE_AA, SHIFT)
            elif kind == _APPLY:
                _multiply(image, shade, what)
            elif kind == _CLIP:
                before, outside = image.copy(), np.full_like(image, 255)
                cv2.fillPoly(outside, [full[what]], 0, cv2.LINE_8, SHIFT)
            else:
                cv2.copyTo(before, outside, image)
        return image

    def _place(self, points: np.ndarray, raised: np.ndarray) -> np.ndarray:
        """Face coordinates → pixels, float64 [N, 2]: yaw turns the head's ellipsoid, then roll, size and shift."""
        look, half = self.look, SIZE * SCALE / 2
        x, y = points.T
        depth = 0.55 * np.sqrt(np.maximum(0.0, 1 - (x / 0.85) ** 2 - (y / 1.3) ** 2)) - 0.35 + raised
        turned = np.stack((x * np.cos(look.yaw) + depth * np.sin(look.yaw), y), 1)
        c, s = np.cos(look.roll) * look.scale, np.sin(look.roll) * look.scale
        return (turned @ np.array(((c, s), (-s, c))) + 1 + look.shift) * half


def _multiply(image: np.ndarray, shade: np.ndarray, sigma: float) -> None:
    soft = cv2.GaussianBlur(shade, (0, 0), sigma * SCALE / 2)
    cv2.multiply(image, cv2.resize(soft, image.shape[::-1]), image, 1 / 128)
    shade[:] = 128
