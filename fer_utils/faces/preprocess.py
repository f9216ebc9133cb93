"""From a face crop to the model's input: the one way for training, evaluation, LIME, ONNX and real time.

FER2013 shows 48 × 48 gray pixels. A crop from a camera has more detail and colour than any training image, so it is
reduced to exactly that (gray, 48 px) before it is enlarged to the network's 96 px: the model sees at the demo what it
saw in training. OpenCV and NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

__all__ = [
    "DETAIL", "INPUT_SIZE", "ImageError", "crop_face", "frame_of", "to_gray48", "to_input", "to_inputs", "to_uint8",
]

INPUT_SIZE = 96  # the side of the network's input, pixels
DETAIL = 48  # the side of a FER2013 image, pixels

# FER2013's framing, measured on its Training split with MTCNN: the 48-px frame's side and centre, as multiples of the
# detected box (side = the mean of width and height; offsets from the box's centre, positive = right, down).
FRAME_SIDE = 1.084
FRAME_OFFSET = (0.0, 0.0)


class ImageError(ValueError):
    """An array that is not a picture this package can read."""


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Any picture's pixels as uint8 0–255, shape kept.

    `image` is uint8, uint16 (its upper byte is kept), bool, or float in [0, 1] or [0, 255].

    Raises ImageError for other dtypes, values outside, NaN or infinity.
    """
    if not image.size:
        raise ImageError(f"image: must hold pixels; got shape {list(image.shape)}")
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:  # 16-bit pictures: keep the upper byte
        return (image >> 8).astype(np.uint8)
    if image.dtype == bool:
        return image.astype(np.uint8) * 255
    if np.issubdtype(image.dtype, np.floating):
        if not np.isfinite(image).all():
            raise ImageError("image: every pixel must be finite; got NaN or infinity")
        low, high = float(image.min()), float(image.max())
        if low < 0 or high > 255:
            raise ImageError(f"image: float pixels must lie in [0, 1] or [0, 255]; got [{low:g}, {high:g}]")
        return np.rint(image * 255 if high <= 1 else image).astype(np.uint8)
    raise ImageError(f"image: dtype must be uint8, uint16, bool or float; got {image.dtype}")


def to_gray48(face: np.ndarray) -> np.ndarray:
    """A face crop as FER2013 would hold it.

    Parameters
    ----------
    face : [H, W], [H, W, 1], [H, W, 3] RGB or [H, W, 4] RGBA; uint8 or uint16, or float in [0, 1] or [0, 255].

    Returns
    -------
    uint8 [48, 48], gray, 0–255. Larger crops are reduced by area averaging, smaller ones enlarged linearly.

    Raises
    ------
    ImageError
        Not a picture of at least 2 × 2 pixels, or of another dtype or number of channels.
    """
    image = np.asarray(face)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise ImageError(f"image: shape must be [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]; got {list(image.shape)}")
    if min(image.shape[:2]) < 2:
        raise ImageError(f"image: a face needs at least 2 × 2 pixels; got {image.shape[0]} × {image.shape[1]}")
    image = np.ascontiguousarray(to_uint8(image))
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2GRAY if image.shape[2] == 4 else cv2.COLOR_RGB2GRAY)
    if image.shape == (DETAIL, DETAIL):
        return image
    shrink = max(image.shape) > DETAIL
    return cv2.resize(image, (DETAIL, DETAIL), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def to_input(face: np.ndarray, *, size: int = INPUT_SIZE) -> np.ndarray:
    """A face crop (see `to_gray48`) as the network's input: float32 [size, size, 3], RGB with equal channels, 0–255."""
    gray = cv2.resize(to_gray48(face), (size, size), interpolation=cv2.INTER_LINEAR)
    return np.repeat(gray.astype(np.float32)[:, :, None], 3, axis=2)


def to_inputs(faces: Iterable[np.ndarray], *, size: int = INPUT_SIZE) -> np.ndarray:
    """Many crops at once: float32 [N, size, size, 3], RGB with equal channels, 0–255; N may be 0."""
    faces = list(faces)
    out = np.empty((len(faces), size, size, 3), np.float32)
    for row, face in zip(out, faces, strict=True):
        row[:] = to_input(face, size=size)
    return out


def frame_of(box: tuple[float, float, float, float]) -> tuple[float, float, float]:
    """FER2013's square frame around a detected box (x, y, width, height): its left, top and side in pixels."""
    x, y, width, height = (float(value) for value in box)
    if not (width > 0 and height > 0 and np.isfinite([x, y, width, height]).all()):
        raise ImageError(f"box: width and height must be positive and finite; got {(x, y, width, height)}")
    detected = (width + height) / 2
    side = FRAME_SIDE * detected
    left = x + width / 2 + FRAME_OFFSET[0] * detected - side / 2
    top = y + height / 2 + FRAME_OFFSET[1] * detected - side / 2
    return left, top, side


def crop_face(frame: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """Cut a detected face out of a frame the way FER2013 frames its faces.

    Parameters
    ----------
    frame : uint8 [H, W, 3], RGB (or [H, W] gray).
    box : x, y, width, height in pixels, as MTCNN gives it; over the frame's edge the border is repeated.

    Returns
    -------
    uint8 [48, 48], gray.
    """
    left, top, side = frame_of(box)
    height, width = frame.shape[:2]
    x0, y0 = int(np.floor(left)), int(np.floor(top))
    x1, y1 = int(np.ceil(left + side)), int(np.ceil(top + side))
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise ImageError(f"box: must overlap the {width} × {height} frame; got {tuple(float(value) for value in box)}")
    inside = frame[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    borders = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    if any(borders):
        inside = cv2.copyMakeBorder(inside, *borders, cv2.BORDER_REPLICATE)
    return to_gray48(inside)
