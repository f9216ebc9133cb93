"""Test-time augmentation: a face judged in ten views, its five crops and their mirror images, probabilities averaged.

The classical ten-crop scheme (Krizhevsky et al. 2012) at FER2013's size: windows of 44 px at the corners and in the
middle of the 48-px face, enlarged to 48 px again. Rows of a table that use it must say so: it costs ten passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

__all__ = ["CROP", "predict", "views"]

Judge = Callable[[np.ndarray], np.ndarray]
CROP = 44  # px of 48: the margin that training's random shift covers too


def views(images: np.ndarray, *, crop: int = CROP) -> np.ndarray:
    """Ten views of each face, uint8 [10, N, S, S]: middle, corners, then the same five mirrored.

    Parameters
    ----------
    images : uint8 [N, S, S], gray.
    crop : side of the windows in pixels; S gives the face itself (and its mirror image) five times.

    Raises
    ------
    ValueError for another shape or dtype, or a window that is larger than the face or has no pixel.
    """
    images = np.asarray(images)
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8:
        raise ValueError(f"images: must be uint8 [N, S, S]; got {images.dtype} {list(images.shape)}")
    side = images.shape[1]
    if not 1 <= crop <= side:
        raise ValueError(f"crop: must lie in 1 … {side}; got {crop}")
    rest = side - crop
    corners = [(rest // 2, rest // 2), (0, 0), (0, rest), (rest, 0), (rest, rest)]
    windows = [images[:, y : y + crop, x : x + crop] for y, x in corners]
    five = np.stack([_enlarged(window, side) for window in windows])
    return np.concatenate([five, five[..., ::-1]])


def _enlarged(windows: np.ndarray, side: int) -> np.ndarray:
    """uint8 [N, C, C] → [N, side, side]."""
    out = np.empty((len(windows), side, side), np.uint8)
    for row, window in enumerate(windows):
        out[row] = cv2.resize(np.ascontiguousarray(window), (side, side), interpolation=cv2.INTER_LINEAR)
    return out


def predict(judges: Sequence[Judge], images: np.ndarray, *, crop: int = CROP) -> np.ndarray:
    """Mean probabilities of one or several classifiers over the ten views, float32 [N, 7].

    `judges` : each maps faces uint8 [N, 48, 48] to probabilities [N, 7], e.g. `lambda faces:
    classifier.predict(to_inputs(faces))`. Several of them make an ensemble with equal weights.
    """
    if not judges:
        raise ValueError("judges: must name at least one classifier; got none")
    parts = [judge(faces) for faces in views(images, crop=crop) for judge in judges]
    return np.mean(parts, axis=0, dtype=np.float64).astype(np.float32)
