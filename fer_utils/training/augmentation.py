"""Training-time augmentation of 48-px faces, in OpenCV: a few microseconds an image, the same for every backbone.

It works at 48 px, before `preprocess.to_inputs` enlarges; evaluation skips it and takes the same path otherwise.
"""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["Augmentation", "augment", "mixup"]


class Augmentation(dict):
    """Strengths by name; see `DEFAULT` for the names and their units."""

    DEFAULT = {
        "flip": 0.5,  # probability
        "rotation": 12.0,  # degrees, each way
        "shift": 0.08,  # of the side, each way
        "zoom": 0.10,  # of the scale, each way
        "brightness": 0.25,  # of 128, each way
        "contrast": 0.25,  # of 1, each way
        "erasing": 0.25,  # probability
    }

    def __init__(self, **strengths: float) -> None:
        unknown = set(strengths) - set(self.DEFAULT)
        if unknown:
            raise ValueError(f"strengths: must be among {', '.join(self.DEFAULT)}; got {', '.join(sorted(unknown))}")
        super().__init__({**self.DEFAULT, **strengths})


def _warp(image: np.ndarray, strengths: Augmentation, rng: np.random.Generator) -> np.ndarray:
    side = image.shape[0]
    angle = rng.uniform(-1, 1) * strengths["rotation"]
    scale = 1 + rng.uniform(-1, 1) * strengths["zoom"]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, scale)
    matrix[:, 2] += rng.uniform(-1, 1, 2) * strengths["shift"] * side
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _light(image: np.ndarray, strengths: Augmentation, rng: np.random.Generator) -> np.ndarray:
    contrast = 1 + rng.uniform(-1, 1) * strengths["contrast"]
    shift = rng.uniform(-1, 1) * strengths["brightness"] * 128
    mean = float(image.mean())
    return np.clip((image - mean) * contrast + mean + shift, 0, 255)


def _erase(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random rectangle of 2 to 20 % of the area, filled with noise (Zhong et al. 2020)."""
    side = image.shape[0]
    area, ratio = rng.uniform(0.02, 0.20) * side * side, np.exp(rng.uniform(-1, 1) * np.log(3.0))
    height, width = (int(np.clip(np.sqrt(value), 1, side)) for value in (area * ratio, area / ratio))
    y, x = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    image[y : y + height, x : x + width] = rng.uniform(0, 255, (height, width))
    return image


def augment(images: np.ndarray, strengths: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """A new random view of each face.

    Parameters
    ----------
    images : uint8 [N, 48, 48], gray.
    strengths : how strong each change is; all zero returns the images unchanged.
    rng : source of randomness.

    Returns
    -------
    uint8 [N, 48, 48].
    """
    out = images.copy()
    for row in range(len(out)):
        image = out[row]
        if rng.random() < strengths["flip"]:
            image = image[:, ::-1]
        if strengths["rotation"] or strengths["shift"] or strengths["zoom"]:
            image = _warp(np.ascontiguousarray(image), strengths, rng)
        image = _light(image.astype(np.float32), strengths, rng)
        if rng.random() < strengths["erasing"]:
            image = _erase(image, rng)
        out[row] = np.rint(image)
    return out


def mixup(
    inputs: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each row with another one, pixels and labels alike (Zhang et al. 2018); `alpha` = 0 changes nothing."""
    if alpha <= 0:
        return inputs, targets
    share = rng.beta(alpha, alpha, len(inputs)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(inputs))
    pixels = share[:, None, None, None]
    return inputs * pixels + inputs[other] * (1 - pixels), targets * share[:, None] + targets[other] * (
        1 - share[:, None]
    )
