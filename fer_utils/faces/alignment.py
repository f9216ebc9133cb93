"""A similarity transform that brings five landmarks to fixed places: upright, centred, of one size.

Least squares over rotation, scale and shift: Umeyama, "Least-squares estimation of transformation parameters between
two point patterns", 1991. In the plane, with points as complex numbers, his solution is one line.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from fer_utils.faces.preprocess import ImageError

if TYPE_CHECKING:
    from fer_utils.faces.landmarks import Landmarks

__all__ = ["TEMPLATE", "align", "align_all", "align_points", "roll", "scales", "similarity", "transform", "trusted"]

SIDE = 48

# The median landmarks of the Training faces that MTCNN finds, made symmetrical: aligned faces keep FER2013's framing.
TEMPLATE = np.array([[14.5, 18], [32.5, 18], [23.5, 28.3], [16, 37], [31, 37]], np.float32)
"""Where `align` puts the landmarks of `detector.LANDMARKS`: float32 [5, 2], x and y in 48-px coordinates."""

# FER2013 frames its faces closely. What has to be enlarged by more than this is often an eye, a hand or a pattern
# that MTCNN took for a face: then it must be certain.
CLOSER, CERTAIN = 1.7, 0.95


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, scale and shift (no reflection) that brings points nearest to others, in the least-squares sense.

    source, target : [K, 2] with K ≥ 2, finite. Returns float64 [2, 3]: target ≈ source @ M[:, :2].T + M[:, 2].
    Raises ValueError when shapes differ, a number is not finite, or all source points coincide.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2 or len(a) < 2:
        raise ValueError(f"source and target must both be [K, 2] with K ≥ 2; got {list(a.shape)} and {list(b.shape)}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("source and target must be finite; got NaN or infinity (was a face found?)")
    x, y = a @ [1, 1j], b @ [1, 1j]
    spread = np.sum(np.abs(x - x.mean()) ** 2)
    if spread < 1e-12:
        raise ValueError("source: all points coincide; a similarity needs two different ones")
    turn = np.sum(np.conj(x - x.mean()) * (y - y.mean())) / spread
    shift = y.mean() - turn * x.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def transform(landmarks: np.ndarray, *, size: int = SIDE) -> np.ndarray:
    """The similarity from an image's landmarks [5, 2] to an aligned face of `size` pixels: float64 [2, 3]."""
    return similarity(landmarks, (TEMPLATE + 0.5) * (size / SIDE) - 0.5)


def align(image: np.ndarray, landmarks: np.ndarray, *, size: int = SIDE) -> np.ndarray:
    """The face upright and centred, in FER2013's framing.

    image : uint8 [H, W] or [H, W, C].  landmarks : [5, 2], x and y in the image's pixels.  size : side of the result.
    Returns uint8 [size, size] or [size, size, C]. Pixels beyond the image repeat its border. Large faces are reduced by
    area averaging, others resampled with cubic weights: linear ones would blur a 48-px face, and a before/after
    comparison would then measure the blur.
    Raises ImageError for another image, ValueError for landmarks that are not [5, 2] and finite.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise ImageError(f"image must be uint8 [H, W] or [H, W, C], not empty; got {image.dtype} {list(image.shape)}")
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel; got {size}")
    shrink = 1 / np.hypot(*transform(landmarks, size=size)[:, 0])
    finer = max(1, math.ceil(shrink - 0.25))  # up to 1.25 source pixels a target pixel do not alias visibly
    side = size * finer
    matrix = transform(landmarks, size=side)
    aligned = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return aligned if finer == 1 else cv2.resize(aligned, (size, size), interpolation=cv2.INTER_AREA)


def align_points(landmarks: np.ndarray, *, size: int = SIDE) -> np.ndarray:
    """Where `align` puts an image's landmarks [5, 2]: float64 [5, 2], x and y in the aligned face's pixels."""
    matrix = transform(landmarks, size=size)
    return landmarks @ matrix[:, :2].T + matrix[:, 2]


def trusted(landmarks: Landmarks) -> np.ndarray:
    """bool [N]: a face was found, and it is not a small and doubtful one."""
    with np.errstate(invalid="ignore"):
        doubtful = (scales(landmarks.points) > CLOSER) & (landmarks.scores < CERTAIN)
    return landmarks.found & ~doubtful


def align_all(images: np.ndarray, landmarks: Landmarks) -> tuple[np.ndarray, np.ndarray]:
    """FER2013 faces aligned where a face was found and is `trusted`; the others stay whole frames, and are flagged.

    images : uint8 [N, 48, 48]. Returns (uint8 [N, 48, 48], bool [N]: aligned).
    """
    if len(images) != len(landmarks):
        raise ValueError(f"images and landmarks must have one length; got {len(images)} and {len(landmarks)}")
    aligned, flags = np.array(images, np.uint8), trusted(landmarks)
    for row in np.flatnonzero(flags):
        aligned[row] = align(images[row], landmarks.points[row])
    return aligned, flags


def scales(points: np.ndarray) -> np.ndarray:
    """How much alignment enlarges each face, [N, 5, 2] → [N]; NaN where no face was found."""
    return np.array([np.hypot(*transform(face)[:, 0]) if np.isfinite(face).all() else np.nan for face in points])


def roll(points: np.ndarray) -> np.ndarray:
    """In-plane turn of the line between the eyes in degrees, [N, 5, 2] → [N]; positive = clockwise in the image."""
    eyes = points[..., 1, :] - points[..., 0, :]
    return np.degrees(np.arctan2(eyes[..., 1], eyes[..., 0]))
