"""A frame: one picture at one time, whatever form it came in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_utils.faces import ImageError, to_uint8

__all__ = ["Frame", "as_frame"]


@dataclass(frozen=True)
class Frame:
    """One picture: `image` uint8 [H, W, 3] RGB, `time` in seconds, `index` 0, 1, 2 …, `name` of its file (pictures)."""

    image: np.ndarray
    time: float
    index: int
    name: str = ""


def as_frame(image: np.ndarray) -> np.ndarray:
    """Any picture as uint8 [H, W, 3] RGB.

    Parameters
    ----------
    image : [H, W] or [H, W, 1] gray, [H, W, 3] RGB or [H, W, 4] RGBA (alpha is dropped); uint8, uint16 (0–65535), bool,
        or float in [0, 1] or [0, 255]. 1 × 1 pixel is a picture (without a face).

    Raises
    ------
    ImageError for an empty array, another shape or dtype, or values outside the range.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)) or not image.size:
        allowed = "[H, W], [H, W, 1], [H, W, 3] or [H, W, 4] and not empty"
        raise ImageError(f"image: must be {allowed}; got {list(image.shape)}")
    image = to_uint8(image)
    if image.ndim == 2 or image.shape[2] == 1:
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[:, :, :3])
