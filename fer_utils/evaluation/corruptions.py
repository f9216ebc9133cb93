"""Faces made worse on purpose, each in five strengths: how a classifier behaves on them is its robustness.

In the manner of ImageNet-C (Hendrycks and Dietterich 2019), with what a webcam does to a face: it is turned, out of
focus, noisy, dark, compressed, and partly covered. Everything works on FER2013's own 48 × 48 pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

__all__ = ["NAMES", "STRENGTHS", "apply", "describe"]

STRENGTHS = (1, 2, 3, 4, 5)
DEGREES = (8, 16, 24, 32, 45)
BLUR = (0.6, 1.0, 1.5, 2.0, 3.0)  # standard deviation in px of 48
NOISE = (8, 16, 26, 38, 54)  # standard deviation in gray levels
LIGHT = (0.6, 0.4, 0.25, 0.15, 0.08)  # share of the light that is left; rounding to whole levels loses the rest
QUALITY = (40, 25, 15, 10, 6)  # of JPEG
COVERED = (0.2, 0.4, 0.6, 0.8, 1.0)  # share of the region's width
EYES, MOUTH = (0.24, 0.50), (0.62, 0.92)  # rows of the face, from top to bottom, as shares of its height


def _each(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    out = np.empty_like(images)
    for row, image in enumerate(images):
        out[row] = change(image)
    return out


def _rotation(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    side = images.shape[1]
    signs = rng.choice([-1, 1], len(images))
    turns = [cv2.getRotationMatrix2D(((side - 1) / 2,) * 2, float(sign * DEGREES[level]), 1) for sign in signs]
    warped = [
        cv2.warpAffine(image, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
        for image, turn in zip(images, turns, strict=True)
    ]
    return np.stack(warped) if warped else images.copy()


def _blur(images: np.ndarray, level: int, _: np.random.Generator) -> np.ndarray:
    return _each(images, lambda image: cv2.GaussianBlur(image, (0, 0), BLUR[level]))


def _noise(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(0, NOISE[level], images.shape).astype(np.float32)
    return np.rint(np.clip(images + noise, 0, 255)).astype(np.uint8)


def _low_light(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    """Fewer photons: darker, and noisier for it (the noise of a sensor read at two levels)."""
    dark = images * np.float32(LIGHT[level]) + rng.normal(0, 2, images.shape).astype(np.float32)
    return np.rint(np.clip(dark, 0, 255)).astype(np.uint8)


def _jpeg(images: np.ndarray, level: int, _: np.random.Generator) -> np.ndarray:
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY[level]]
    return _each(images, lambda image: cv2.imdecode(cv2.imencode(".jpg", image, options)[1], cv2.IMREAD_GRAYSCALE))


def _covered(rows: tuple[float, float]) -> Callable[[np.ndarray, int, np.random.Generator], np.ndarray]:
    def change(images: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
        """A gray bar over these rows, grown from a random side."""
        out, side = images.copy(), images.shape[1]
        top, bottom, width = round(rows[0] * side), round(rows[1] * side), round(COVERED[level] * side)
        for image, from_left in zip(out, rng.random(len(out)) < 0.5, strict=True):
            image[top:bottom, slice(0, width) if from_left else slice(side - width, side)] = 128
        return out

    return change


_CHANGES = {
    "rotation": (_rotation, [f"{value}°" for value in DEGREES]),
    "blur": (_blur, [f"σ {value} px" for value in BLUR]),
    "noise": (_noise, [f"σ {value}" for value in NOISE]),
    "low light": (_low_light, [f"{value:.0%}" for value in LIGHT]),
    "JPEG": (_jpeg, [f"quality {value}" for value in QUALITY]),
    "eyes covered": (_covered(EYES), [f"{value:.0%}" for value in COVERED]),
    "mouth covered": (_covered(MOUTH), [f"{value:.0%}" for value in COVERED]),
}
NAMES = tuple(_CHANGES)


def _check(name: str, strength: int) -> None:
    if name not in NAMES:
        raise ValueError(f"name: must be one of {', '.join(NAMES)}; got {name!r}")
    if strength not in STRENGTHS:
        raise ValueError(f"strength: must be a whole number in 1 … {STRENGTHS[-1]}; got {strength!r}")


def apply(images: np.ndarray, name: str, strength: int, *, seed: int = 2013) -> np.ndarray:
    """The same faces, made worse.

    Parameters
    ----------
    images : uint8 [N, S, S], gray.
    name : one of `NAMES`. strength : 1 (hardly visible) to 5 (hard for people too).
    seed : of noise, directions and sides; the same one gives the same pictures, whatever the strength is.

    Returns
    -------
    uint8 [N, S, S]; the input is not changed.

    Raises
    ------
    ValueError for an unknown name or strength, another shape or dtype.
    """
    _check(name, strength)
    images = np.asarray(images)
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8:
        raise ValueError(f"images: must be uint8 [N, S, S]; got {images.dtype} {list(images.shape)}")
    change, _ = _CHANGES[name]
    return change(images, strength - 1, np.random.default_rng(seed))


def describe(name: str, strength: int) -> str:
    """What a strength means, for an axis: `describe("blur", 3)` is "σ 1.5 px"."""
    _check(name, strength)
    return _CHANGES[name][1][strength - 1]
