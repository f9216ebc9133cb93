"""Faces in an image and their five landmarks: MTCNN on ONNX Runtime, or the `mtcnn` package for comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_utils.faces.preprocess import ImageError

__all__ = ["LANDMARKS", "Detector", "Face"]

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""Names of the five landmarks in order; left and right as seen in the image."""

BACKENDS = ("onnx", "mtcnn")
MIN_SIDE = 12  # P-Net's window


@dataclass(frozen=True)
class Face:
    """One detected face, in pixels of the image it was found in.

    box: x, y, width, height (x, y = upper left corner).  score: O-Net's probability of a face, 0–1.
    landmarks: float32 [5, 2], x and y of `LANDMARKS`.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray


class Detector:
    """MTCNN: finds faces and five landmarks. Use as a context manager or call `close()`.

    Parameters
    ----------
    min_face_size : side in pixels of the smallest face to look for, at least 12. Twice as large is four times as fast.
    thresholds : scores in [0, 1] that a candidate must exceed in P-, R- and O-Net.
    scale_factor : ratio of two neighbouring levels of the image pyramid, in (0, 1).
    threads : threads to work with; 0 = as many as cores.
    backend : "onnx" (the networks in models/, no TensorFlow) or "mtcnn" (the package, for comparison; slow).
    fit_to_image : cut boxes at the image's border, as the package does. False keeps them whole: better for crops that
        are to have the same framing at the border as elsewhere.

    Raises
    ------
    ValueError
        A parameter out of its range.
    FileNotFoundError
        The network files are missing.
    """

    def __init__(self, *, min_face_size: float = 20, thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
                 scale_factor: float = 0.709, threads: int = 0, backend: str = "onnx", fit_to_image: bool = True):
        _check_options(min_face_size, thresholds, scale_factor, threads, backend)
        options = {"min_face_size": min_face_size, "thresholds": tuple(thresholds), "scale_factor": scale_factor,
                   "fit_to_image": fit_to_image}
        if backend == "onnx":
            from fer_utils.faces.mtcnn import Cascade

            self._cascade = Cascade(threads=threads, **options)
        else:
            from fer_utils.faces.mtcnn_package import PackageCascade

            self._cascade = PackageCascade(**options)

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Release the networks. A closed detector raises RuntimeError."""
        if self._cascade is not None:
            self._cascade.close()
        self._cascade = None

    def detect(self, image: np.ndarray) -> list[Face]:
        """Faces in one image, best score first; an empty list when there is none.

        image : uint8 [H, W, 3], RGB, at least 12 × 12 pixels. Raises ImageError for anything else.
        """
        return self.detect_batch(_check_images(np.asarray(image)[None], "image"))[0]

    def detect_batch(self, images: np.ndarray) -> list[list[Face]]:
        """Faces in each of many images of one size: the same as `detect` on each, faster.

        images : uint8 [N, H, W, 3], RGB. Raises ImageError for anything else.
        """
        images = _check_images(np.asarray(images), "images")
        rows = self._open().detect(images)
        found: list[list[Face]] = [[] for _ in images]
        for row in rows:
            found[int(row[0])].append(_face(row))
        return found

    def refine(self, image: np.ndarray, box: tuple[float, float, float, float]) -> Face | None:
        """O-Net alone on the square around `box` (x, y, width, height; pixels): the face there, or None.

        Follows a known face from frame to frame at a hundredth of the cost of `detect`. None when the score stays below
        the third threshold. Raises ImageError for another image than `detect` takes, ValueError for a box without area.
        """
        image = _check_images(np.asarray(image)[None], "image")[0]
        x, y, width, height = (float(v) for v in box)
        if not (np.isfinite([x, y, width, height]).all() and width > 0 and height > 0):
            raise ValueError(f"box must be finite x, y and positive width, height; got {tuple(box)}")
        rows = self._open().refine(image, np.array([x, y, x + width, y + height]))
        return _face(rows[0]) if len(rows) else None

    def _open(self):
        if self._cascade is None:
            raise RuntimeError("this Detector is closed; make a new one")
        return self._cascade


def _face(row: np.ndarray) -> Face:
    x1, y1, x2, y2, score = (float(v) for v in row[1:6])
    return Face((x1, y1, x2 - x1, y2 - y1), score, row[6:16].reshape(2, 5).T.astype(np.float32))


def _check_options(min_face_size, thresholds, scale_factor, threads, backend) -> None:
    if not min_face_size >= MIN_SIDE:
        raise ValueError(f"min_face_size must be at least {MIN_SIDE} pixels (enlarge the image); got {min_face_size}")
    if len(thresholds) != 3 or not all(0 <= t <= 1 for t in thresholds):
        raise ValueError(f"thresholds must be three scores in [0, 1]; got {thresholds}")
    if not 0 < scale_factor < 1:
        raise ValueError(f"scale_factor must lie between 0 and 1; got {scale_factor}")
    if threads < 0:
        raise ValueError(f"threads must be 0 (all cores) or more; got {threads}")
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}; got {backend!r}")


def _check_images(images: np.ndarray, name: str) -> np.ndarray:
    shape = "[H, W, 3]" if name == "image" else "[N, H, W, 3]"
    got = list(images.shape[1:] if name == "image" else images.shape)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ImageError(f"{name} must be uint8 {shape}, RGB; got {images.dtype} {got}")
    if min(images.shape[1:3]) < MIN_SIDE:
        raise ImageError(f"{name} must be at least {MIN_SIDE} × {MIN_SIDE} pixels to hold a face; got {got}")
    return images
