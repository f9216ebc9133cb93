"""MTCNN on ONNX Runtime: faces in an image and their five landmarks, without TensorFlow.

Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", 2016,
as the `mtcnn` package 1.0 computes it (MIT licence, © 2019–2024 Iván de Paz Centeno): same boxes, scores and landmarks.
One difference: with `min_face_size` above about 24 the package's last pyramid levels are smaller than P-Net's window;
it swallows the error and reports no face at all. Here the pyramid ends where the window no longer fits.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.faces._network import Closing, open_network, read_network
from fer_utils.faces.boxes import Box, apart, clip, regress, square, suppress
from fer_utils.faces.preprocess import ImageError

# The five landmarks in order; left and right as seen in the image.
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
SIDES = {"pnet": None, "rnet": 24, "onet": 48}  # of the networks' inputs, pixels; None: any
SCALE_FACTOR = 0.709  # ratio of two neighbouring levels of the image pyramid
CELL, STRIDE = 12, 2  # P-Net's window and step, pixels
# The package's rounding ends its pyramid, at its default settings, at this side in pixels: 12 · (12 / 20) · 0.709^−1.5.
SMALLEST_LEVEL = 12.0605
MAX_STACK_ROWS = 32_000  # cv2.remap addresses its source with 16-bit coordinates
MAX_PIXELS = 4_000_000  # of all images searched at once; P-Net's first layer needs 40 bytes a pixel
MAX_CROPS = 1024
FEW_ROWS = 500  # candidates of all levels that are compared at once


@dataclass(frozen=True)
class Face:
    """One detected face, in pixels of the image it was found in.

    Examples
    --------
    >>> faces.Face((80, 60, 90, 110), 0.99, faces.TEMPLATE * 2 + 80).box
    (80, 60, 90, 110)
    """

    box: Box
    score: float  # O-Net's probability of a face, 0–1
    landmarks: np.ndarray  # float32 [5, 2], x and y of `LANDMARKS`


class Detector(Closing):
    """MTCNN: finds faces and their five landmarks. A context manager; or call `close`.

    ValueError for a parameter out of its range, FileNotFoundError when a network's file is missing, ModelError when it
    is damaged. `min_face_size`: side in pixels of the smallest face to look for, at least 12; twice as large is four
    times as fast. `thresholds`: scores in [0, 1] that a candidate must exceed in P-, R- and O-Net. `threads`: 0 = as
    many as cores. `fit_to_image`: cut boxes at the image's border, as the `mtcnn` package does.

    Examples
    --------
    >>> with faces.Detector(min_face_size=40) as detector:
    ...     found = detector.detect(np.zeros((480, 640, 3), np.uint8))
    """

    def __init__(self, *, min_face_size: float = 20, thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
                 threads: int = 0, fit_to_image: bool = True) -> None:
        if not min_face_size >= CELL:
            raise ValueError(f"min_face_size: must be at least {CELL} pixels (enlarge the image); got {min_face_size}")
        if len(thresholds) != 3 or not all(0 <= threshold <= 1 for threshold in thresholds):
            raise ValueError(f"thresholds: must be three scores in [0, 1]; got {thresholds}")
        if threads < 0:
            raise ValueError(f"threads: must be 0 (all cores) or more; got {threads}")
        self.min_face_size, self.thresholds, self.fit_to_image = min_face_size, tuple(thresholds), fit_to_image
        self._networks = {name: _session(name, 1 if name == "pnet" else threads) for name in SIDES}
        workers = threads or os.cpu_count() or 1  # share out the pyramid's levels: better than all of them on each
        self._pool = ThreadPoolExecutor(workers, "mtcnn") if workers > 1 else None

    def close(self) -> None:
        """Release the networks and end the threads. A closed detector raises RuntimeError."""
        if self._pool:
            self._pool.shutdown(wait=False)
        self._pool, self._networks = None, {}

    def detect(self, image: np.ndarray, *, min_face_size: float = 0, known: Sequence[Box] = ()) -> list[Face]:
        """Faces in uint8 [H, W, 3], RGB, at least 12 × 12 pixels, best score first; ImageError for another array.

        `min_face_size`: search at the same levels of the pyramid, but only from the one that shows faces of that side.
        `known`: what has its middle in one of these boxes is left out, which saves R- and O-Net's work on it.
        """
        images = self._check(np.asarray(image)[None], "image")
        return self.detect_batch(images, min_face_size=min_face_size, known=known)[0]

    def detect_batch(self, images: np.ndarray, *, min_face_size: float = 0,
                     known: Sequence[Box] = ()) -> list[list[Face]]:
        """Faces in each image of uint8 [N, H, W, 3], RGB: the same as `detect` on each, faster."""
        images = self._check(np.asarray(images), "images")
        found: list[list[Face]] = [[] for _ in images]
        height, width = images.shape[1:3]
        step = max(1, min(MAX_STACK_ROWS // height, MAX_PIXELS // (height * width)))
        for start in range(0, len(images), step):
            part = _normalize(images[start:start + step])
            rows = apart(self._propose(part, min_face_size), known)
            rows = self._output(part, self._reject(part, rows))
            for row in rows:
                found[start + int(row[0])].append(_face(row))
        return found

    def refine(self, image: np.ndarray, box: Box) -> Face | None:
        """O-Net alone on the square around `box`: follows a known face at a hundredth of the cost of `detect`.

        None when the score stays below the third threshold; ValueError for a box without area.
        """
        images = self._check(np.asarray(image)[None], "image")
        x, y, width, height = map(float, box)
        if not (np.isfinite([x, y, width, height]).all() and width > 0 and height > 0):
            raise ValueError(f"box: must be finite x, y and positive width, height; got {tuple(box)}")
        rows = np.array([[0, x, y, x + width, y + height, 0]])
        rows = self._output(_normalize(images), square(rows))
        return _face(rows[0]) if len(rows) else None

    def _check(self, images: np.ndarray, name: str) -> np.ndarray:
        if not self._networks:
            raise RuntimeError("this Detector is closed; make a new one")
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or min(images.shape[1:3]) < CELL:
            form, got = ("[H, W, 3]", images.shape[1:]) if name == "image" else ("[N, H, W, 3]", images.shape)
            allowed = f"uint8 {form}, RGB, at least {CELL} × {CELL} pixels"
            raise ImageError(f"{name}: must be {allowed}; got {images.dtype} {list(got)}")
        return images

    def _propose(self, images: np.ndarray, smallest: float = 0) -> np.ndarray:
        """P-Net on every level of the pyramid whose windows are not all below `smallest` → square candidates [M, 6]."""
        scales = pyramid(*images.shape[1:3], min_face_size=self.min_face_size)
        scales = [scale for scale in scales if CELL / (SCALE_FACTOR * scale) > smallest]
        run = self._pool.map if self._pool else map
        levels = list(run(lambda scale: self._cells(images, scale), scales))
        if not levels:
            return np.empty((0, 6))
        found = np.concatenate(levels)
        corners = found[:, [2, 1, 2, 1]] * STRIDE + (1, 1, CELL, CELL)
        boxes = (corners + found[:, 4:8] * (CELL - 1)) / found[:, 3:4]
        rows = np.column_stack([found[:, 0], boxes, _sigmoid(found[:, 8])])
        if len(rows) <= FEW_ROWS:
            rows = suppress(rows, 0.5, levels=found[:, 3])
        else:
            ends = np.cumsum([len(level) for level in levels[:-1]])
            rows = np.concatenate([suppress(part, 0.5) for part in np.split(rows, ends)])
        return square(suppress(rows, 0.7))

    def _cells(self, images: np.ndarray, scale: float) -> np.ndarray:
        """P-Net on one level → windows above the threshold [M, 9]: image, y, x, scale, offsets, log-odds."""
        width, height = int(images.shape[2] * scale), int(images.shape[1] * scale)
        level = np.empty((len(images), height, width, 3), np.float32)
        for image, reduced in zip(images, level, strict=True):
            cv2.resize(image, (width, height), dst=reduced, interpolation=cv2.INTER_AREA)
        cells = self._networks["pnet"].run(None, {"image": level})[0]
        with np.errstate(divide="ignore"):  # a threshold of 0 or 1 is infinite log-odds: everything, nothing
            odds = np.log(self.thresholds[0]) - np.log1p(-self.thresholds[0])
        image, y, x = np.nonzero(cells[:, 4] > odds)
        return np.column_stack([image, y, x, np.full(len(x), scale), cells[image, :, y, x].astype(np.float64)])

    def _reject(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """R-Net on the candidates → fewer, better squares [M, 6]."""
        found = self._run("rnet", images, rows)
        rows = regress(rows, found[:, :4], _sigmoid(found[:, 4]))
        return square(suppress(rows[rows[:, 5] > self.thresholds[1]], 0.7))

    def _output(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """O-Net on the candidates → faces with landmarks [M, 16]."""
        found = self._run("onet", images, rows)
        sides = rows[:, 3:5] - rows[:, 1:3] + 1
        points = found[:, 5:].reshape(-1, 2, 5) * sides[:, :, None] + rows[:, 1:3, None] - 1
        rows = np.column_stack([regress(rows, found[:, :4], _sigmoid(found[:, 4])), points.reshape(-1, 10)])
        rows = suppress(rows[rows[:, 5] > self.thresholds[2]], 0.7, smaller=True)
        return clip(rows, *images.shape[1:3]) if self.fit_to_image else rows

    def _run(self, name: str, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """R- or O-Net on the candidates → offsets, log-odds (and points): float64 [M, 5 or 15]."""
        parts = (rows[start:start + MAX_CROPS] for start in range(0, max(1, len(rows)), MAX_CROPS))
        found = [self._networks[name].run(None, {"image": crop(images, part, SIDES[name])})[0] for part in parts]
        return np.concatenate(found).astype(np.float64)


def network_path(name: str) -> Path:
    """The ONNX file of a network in `SIDES`: models/mtcnn_<name>.onnx."""
    return paths.MODELS / f"mtcnn_{name}.onnx"


def pyramid(height: int, width: int, *, min_face_size: float) -> list[float]:
    """Scales at which P-Net's 12-px window covers faces from `min_face_size` pixels up to the image's shorter side."""
    scales, scale = [], CELL / min_face_size
    while min(height, width) * scale >= SMALLEST_LEVEL:
        scales.append(scale)
        scale *= SCALE_FACTOR
    return scales


def crop(images: np.ndarray, rows: np.ndarray, side: int) -> np.ndarray:
    """Boxes of images [N, H, W, 3], cut out bilinearly: float32 [M, side, side, 3]; 0 outside.

    Samples where tf.image.crop_and_resize does, with corners divided by H and W but multiplied by H − 1 and W − 1.
    """
    count, height, width, channels = images.shape
    if len(rows) == 0:
        return np.zeros((0, side, side, channels), np.float32)
    steps = np.arange(side) / (side - 1)
    x = (rows[:, 1:2] + (rows[:, 3:4] - rows[:, 1:2]) * steps) * ((width - 1) / width)
    y = (rows[:, 2:3] + (rows[:, 4:5] - rows[:, 2:3]) * steps) * ((height - 1) / height)
    # The images lie in one column; what is outside of one must not come from its neighbour.
    x = np.where((x < 0) | (x > width - 1), -9, x)
    y = np.where((y < 0) | (y > height - 1), -9, y + rows[:, :1] * height)
    grid = np.empty((2, len(rows), side, side), np.float32)
    grid[0], grid[1] = x[:, None, :], y[:, :, None]
    grid_x, grid_y = grid.reshape(2, len(rows), -1)
    source = images.reshape(count * height, width, channels)
    patches = cv2.remap(source, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return patches.reshape(len(rows), side, side, channels)


def _session(name: str, threads: int):
    path = network_path(name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; in a checkout `python -m tools.mtcnn_export` writes it")
    return open_network(path, read_network(path), threads)


def _normalize(images: np.ndarray) -> np.ndarray:
    return (images.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))


def _face(row: np.ndarray) -> Face:
    x1, y1, x2, y2, score = (float(value) for value in row[1:6])
    return Face((x1, y1, x2 - x1, y2 - y1), score, row[6:16].reshape(2, 5).T.astype(np.float32))
