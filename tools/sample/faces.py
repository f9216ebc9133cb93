"""Draw a face from action units, an identity, a pose and a light: NumPy and OpenCV, no picture of anybody.

A face lives in its own coordinates: x to the image's right, y down, (0, 0) between nose and eyes, ±1 about the edge of
the picture. `draw` renders it four times too large and reduces it, so that edges are smooth at 48 px.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from tools.sample import features
from tools.sample.action_units import ACTION_UNITS
from tools.sample.canvas import SCALE, SIZE, Canvas, Look

__all__ = ["draw", "random_look"]


_HAIRSTYLES = ((0.0, 0.1, 0.2, 0.2, 0.4, 0.1), (0.1, 0.3, 0.3, 0.12, 0.03, 0.15))


def random_look(rng: np.random.Generator) -> Look:
    """A random identity, pose and light. `rng` decides everything."""
    u = rng.uniform
    skin = u(95, 225)
    hair = u(15, 70) if rng.random() < 0.7 or skin < 150 else u(90, 165)
    masculine = int(rng.random() < 0.5)
    return Look(
        skin=skin, hair=hair, back=u(20, 235), cloth=u(20, 200),
        width=u(0.64, 0.76), jaw=u(0.62, 0.8) + 0.06 * masculine, chin=u(0.86, 0.98),
        eye_gap=u(0.28, 0.33), eye_size=u(0.85, 1.15), brow=u(0.7, 1.15) + 0.35 * masculine, nose=u(0.85, 1.2),
        mouth_width=u(0.23, 0.29), lips=u(0.8, 1.3) - 0.2 * masculine, iris=u(15, 75),
        hairstyle=int(rng.choice(6, p=_HAIRSTYLES[masculine])),
        volume=u(0, 0.12),
        beard=int(rng.choice(4, p=(0.6, 0.15, 0.1, 0.15))) if masculine else 0,
        glasses=int(rng.choice(3, p=(0.87, 0.1, 0.03))),
        yaw=float(np.clip(rng.normal(0, 0.18), -0.4, 0.4)), roll=float(np.clip(rng.normal(0, 0.1), -0.3, 0.3)),
        scale=u(0.84, 1.04), shift=(rng.normal(0, 0.05), rng.normal(0.02, 0.05)),
        gaze=(rng.normal(0, 0.2), rng.normal(0, 0.12)),
        light=(rng.normal(0, 0.2), rng.normal(-0.06, 0.14)), contrast=u(0.7, 1.1), blur=u(0.2, 0.75), noise=u(1, 6),
    )  # fmt: skip


def draw(units: dict[int, float], look: Look, rng: np.random.Generator) -> np.ndarray:
    """A face, uint8 [48, 48] gray.

    `units`: activation (0–1) by action unit, those left out are 0; `rng` gives background texture and noise.
    Raises ValueError for an unknown unit or an activation outside 0–1.
    """
    for unit, value in units.items():
        if unit not in ACTION_UNITS or not 0 <= value <= 1:
            raise ValueError(f"units must map {list(ACTION_UNITS)} to 0–1, got {unit}: {value}")
    au = dict.fromkeys(ACTION_UNITS, 0.0) | units
    canvas = Canvas(look)
    features.head(canvas, au)
    features.relief(canvas, au)
    features.mouth(canvas, au)
    features.nose(canvas, au)
    for side in (-1, 1):
        features.eye(canvas, au, side)
        features.brow(canvas, au, side)
    features.hair(canvas)
    features.glasses(canvas)
    return _develop(canvas.render(_background(look, rng)), look, rng)


def _background(look: Look, rng: np.random.Generator) -> np.ndarray:
    blotches = rng.normal(look.back, 22, (4, 4)).clip(0, 255).astype(np.uint8)
    return cv2.resize(blotches, (SIZE * SCALE,) * 2, interpolation=cv2.INTER_CUBIC)


@lru_cache
def _ramp() -> np.ndarray:
    return np.linspace(-1, 1, SIZE, dtype=np.float32)


def _develop(image: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Reduce to 48 px, then light, blur, contrast and noise, in a camera's order."""
    face = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    face *= 1 + look.light[0] * _ramp()[None, :] + look.light[1] * _ramp()[:, None]
    face = cv2.GaussianBlur(face, (0, 0), look.blur)
    mean = face.mean()
    face = (face - mean) * look.contrast + mean
    face += rng.standard_normal(face.shape, dtype=np.float32) * look.noise
    return np.clip(np.rint(face), 0, 255).astype(np.uint8)
