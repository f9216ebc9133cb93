"""A similarity transform that brings five landmarks to fixed places: upright, centred, of one size.

Least squares over rotation, scale and shift: Umeyama, "Least-squares estimation of transformation parameters between
two point patterns", 1991. In the plane, with points as complex numbers, his solution is one line.
"""

import math

import cv2
import numpy as np

from fer_utils.faces.preprocess import SIDE, ImageError

# Where `align` puts the five `LANDMARKS`: x and y in 48-px coordinates (0 = centre of the first pixel). The median
# landmarks of the Training faces that MTCNN finds, made symmetrical: aligned faces keep FER2013's framing.
TEMPLATE = np.array([[14.5, 18], [32.5, 18], [23.5, 28.3], [16, 37], [31, 37]], np.float32)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """float64 [2, 3], M: the rotation, scale and shift (no reflection) with target ≈ source @ M[:, :2].T + M[:, 2]."""
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.shape[1:] != (2,):
        raise ValueError(f"source: must be {list(b.shape)} like the target; got {list(a.shape)}")
    x, y = a @ [1, 1j], b @ [1, 1j]
    spread = np.sum(np.abs(x - x.mean()) ** 2)
    if not 1e-12 < spread < np.inf:
        raise ValueError("source: must be finite and hold two different points (was a face found?); got "
                         f"{a.round(1).tolist()}")  # fmt: skip
    turn = np.sum(np.conj(x - x.mean()) * (y - y.mean())) / spread
    shift = y.mean() - turn * x.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def transform(landmarks: np.ndarray, *, size: int = SIDE) -> np.ndarray:
    """The similarity from landmarks [5, 2] to an aligned face of `size` pixels: float64 [2, 3]; ValueError for NaN."""
    return similarity(landmarks, (TEMPLATE + 0.5) * (size / SIDE) - 0.5)


def align(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The face upright and centred, in FER2013's framing: uint8 [48, 48] or [48, 48, C].

    Large faces are reduced by area averaging, others resampled with cubic weights: linear ones would blur a 48-px face,
    and a comparison of before and after would then measure the blur. `image`: uint8 [H, W] or [H, W, C], else
    ImageError; beyond it its border is repeated. `landmarks`: float [5, 2], x and y in its pixels; ValueError for NaN.

    Examples
    --------
    >>> faces.align(np.zeros((200, 200, 3), np.uint8), faces.TEMPLATE * 3 + 20).shape
    (48, 48, 3)
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise ImageError(f"image: must be uint8 [H, W] or [H, W, C], not empty; got {image.dtype} {list(image.shape)}")
    shrink = 1 / np.hypot(*transform(landmarks)[:, 0])
    finer = max(1, math.ceil(shrink - 0.25))  # up to 1.25 source pixels a target pixel do not alias visibly
    side = SIDE * finer
    matrix = transform(landmarks, size=side)
    aligned = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return aligned if finer == 1 else cv2.resize(aligned, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def align_points(landmarks: np.ndarray) -> np.ndarray:
    """Where `align` puts an image's landmarks [5, 2]: float64 [5, 2], x and y in the aligned face's pixels.

    Examples
    --------
    >>> np.allclose(faces.align_points(faces.TEMPLATE * 3 + 20), faces.TEMPLATE)
    True
    """
    matrix = transform(landmarks)
    return landmarks @ matrix[:, :2].T + matrix[:, 2]


def roll(points: np.ndarray) -> np.ndarray:
    """In-plane rotation of the line between the eyes in degrees, [N, 5, 2] → [N]; positive = clockwise in the image."""
    eyes = points[..., 1, :] - points[..., 0, :]
    return np.degrees(np.arctan2(eyes[..., 1], eyes[..., 0]))
