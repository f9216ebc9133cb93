"""From a face crop to the model's input: the one way for training, evaluation, LIME, ONNX and real time.

FER2013 shows 48 × 48 gray pixels. A crop from a camera has more detail and colour than any training image, so it is
reduced to exactly that (gray, 48 px) before it is enlarged to the network's 96 px.
"""

from collections.abc import Iterable

import cv2
import numpy as np

from fer_utils.faces.boxes import Box

INPUT_SIZE = 96  # side of the network's input, pixels
SIDE = 48  # side of a FER2013 image, pixels
FRAME_SIDE = 1.084  # FER2013's frame around MTCNN's box, by the mean of its width and height; measured on Training


class ImageError(ValueError):
    """An array that is not an image this package can read; the message says what is allowed and what came."""


def to_uint8(image: np.ndarray) -> np.ndarray:
    """An image of uint8, uint16 (its upper byte), bool, or float in [0, 1] or [0, 255] as uint8, shape kept."""
    if not image.size:
        raise ImageError(f"image: must hold pixels; got shape {list(image.shape)}")
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if image.dtype == bool:
        return image.astype(np.uint8) * 255
    if not np.issubdtype(image.dtype, np.floating):
        raise ImageError(f"image: dtype must be uint8, uint16, bool or float; got {image.dtype}")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 255):  # also where there is a NaN
        raise ImageError(f"image: float pixels must be finite, in [0, 1] or [0, 255]; got [{low:g}, {high:g}]")
    return np.rint(image * 255 if high <= 1 else image).astype(np.uint8)


def to_gray48(face: np.ndarray) -> np.ndarray:
    """A crop [H, W], [H, W, 1], [H, W, 3] RGB or [H, W, 4] RGBA as FER2013 would hold it: uint8 [48, 48], gray."""
    image = np.asarray(face)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,), (4,)) or min(image.shape[:2]) < 2:
        raise ImageError("image: must be [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] of at least 2 × 2 pixels; got "
                         f"{list(image.shape)}")  # fmt: skip
    image = np.ascontiguousarray(to_uint8(image))
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2GRAY if image.shape[2] == 4 else cv2.COLOR_RGB2GRAY)
    if image.shape == (SIDE, SIDE):
        return image
    shrink = max(image.shape) > SIDE
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def to_input(face: np.ndarray, *, size: int = INPUT_SIZE) -> np.ndarray:
    """A face crop as the network's input: float32 [size, size, 3], RGB with equal channels, 0–255.

    The crop is gray, RGB or RGBA, at least 2 × 2 pixels, of any dtype and range that `to_uint8` knows; else ImageError.

    Examples
    --------
    >>> faces.to_input(np.full((48, 48), 255, np.uint8)).shape
    (96, 96, 3)
    """
    gray = cv2.resize(to_gray48(face), (size, size), interpolation=cv2.INTER_LINEAR)
    return np.repeat(gray.astype(np.float32)[:, :, None], 3, axis=2)


def to_inputs(crops: Iterable[np.ndarray], *, size: int = INPUT_SIZE) -> np.ndarray:
    """`to_input` of many crops: float32 [N, size, size, 3]; N may be 0.

    Examples
    --------
    >>> faces.to_inputs(np.zeros((5, 48, 48), np.uint8)).shape
    (5, 96, 96, 3)
    """
    crops = list(crops)
    inputs = np.empty((len(crops), size, size, 3), np.float32)
    for row, crop in enumerate(crops):
        inputs[row] = to_input(crop, size=size)
    return inputs


def crop_face(image: np.ndarray, box: Box) -> np.ndarray:
    """Cut a detected face out of an image the way FER2013 frames its faces: uint8 [48, 48], gray.

    `image` is uint8 [H, W, 3], RGB, or [H, W], gray; beyond it its border is repeated. `box` is x, y, width, height in
    pixels; ImageError when it has no area or lies outside the image.

    Examples
    --------
    >>> faces.crop_face(np.zeros((480, 640, 3), np.uint8), (200, 100, 80, 110)).shape
    (48, 48)
    """
    x, y, box_width, box_height = (float(value) for value in box)
    if not (box_width > 0 and box_height > 0 and np.isfinite([x, y, box_width, box_height]).all()):
        raise ImageError(f"box: must be finite, width and height positive; got {(x, y, box_width, box_height)}")
    side = FRAME_SIDE * ((box_width + box_height) / 2)
    left, top = x + box_width / 2 - side / 2, y + box_height / 2 - side / 2
    height, width = image.shape[:2]
    x0, y0 = int(np.floor(left)), int(np.floor(top))
    x1, y1 = int(np.ceil(left + side)), int(np.ceil(top + side))
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise ImageError(f"box: must overlap the {width} × {height} image; got {(x, y, box_width, box_height)}")
    inside = image[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    borders = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    if any(borders):
        inside = cv2.copyMakeBorder(inside, *borders, cv2.BORDER_REPLICATE)
    return to_gray48(inside)
