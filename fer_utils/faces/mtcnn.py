"""MTCNN's cascade on ONNX Runtime: three networks, NumPy and OpenCV, no TensorFlow.

Follows the `mtcnn` package 1.0 step by step (MIT licence, © 2019–2024 Iván de Paz Centeno), so that boxes, scores and
landmarks are the same: pyramid, area resizing, 12-px cells, box regression, its own suppression rule, bilinear crops.
Method: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", 2016.

One deliberate difference: the package derives the number of pyramid levels from the image alone. With `min_face_size`
above about 24 its last levels are smaller than P-Net's 12-px window; TensorFlow raises, the package swallows the error
and reports no face at all. Here the pyramid ends where the window no longer fits.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from fer_utils.faces.mtcnn_export import network_path

__all__ = ["Cascade"]

CELL, STRIDE = 12, 2
# The package's rounding ends its pyramid, at its default settings, at this side in pixels: 12 · (12 / 20) · 0.709^−1.5.
SMALLEST_LEVEL = 12.0605
MAX_STACK_ROWS = 32_000  # cv2.remap addresses its source with 16-bit coordinates
MAX_LEVEL_PIXELS = 2_000_000  # one P-Net call; its first layer needs 40 bytes a pixel
MAX_CROPS = 1024


class Cascade:
    """P-Net → R-Net → O-Net for one or many images of one size.

    Rows that the methods return are float64 [M, 16]: image index, x1, y1, x2, y2 (pixels), score (0–1), five landmark
    x, five landmark y (pixels; left eye, right eye, nose, left and right mouth corner as seen in the image).

    thresholds: scores from which P-, R- and O-Net pass a candidate on.  threads: 0 = as many as cores; the levels of
    the pyramid are shared out among them, which scales better than one small level on all of them.
    fit_to_image: cut boxes at the image's border, as the package does.
    """

    def __init__(self, *, min_face_size: float = 20, thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
                 scale_factor: float = 0.709, threads: int = 0, fit_to_image: bool = True):
        self.min_face_size, self.scale_factor, self.fit_to_image = min_face_size, scale_factor, fit_to_image
        self.thresholds = thresholds
        workers = threads or os.cpu_count() or 1
        self._pnet, self._rnet, self._onet = _session("pnet", 1), _session("rnet", threads), _session("onet", threads)
        self._pool = ThreadPoolExecutor(workers, "mtcnn") if workers > 1 else None

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown(wait=False)

    def detect(self, images: np.ndarray) -> np.ndarray:
        """Faces in uint8 [N, H, W, 3] RGB as rows [M, 16], by image, then by falling score."""
        room = max(1, MAX_STACK_ROWS // images.shape[1])
        parts = []
        for start in range(0, len(images), room):
            rows = self._detect(_normalize(images[start:start + room]))
            rows[:, 0] += start
            parts.append(rows)
        return np.concatenate(parts) if parts else np.empty((0, 16))

    def refine(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """O-Net alone on the square around `box` (x1, y1, x2, y2) of uint8 [H, W, 3] RGB: rows [0 or 1, 16]."""
        rows = np.array([[0, *box, 0]], np.float64)
        rows = self._output(_normalize(image[None]), _square(rows))
        return _fit(rows, image.shape) if self.fit_to_image else rows

    def _detect(self, images: np.ndarray) -> np.ndarray:
        rows = self._propose(images)
        rows = self._reject(images, rows)
        rows = self._output(images, rows)
        return _fit(rows, images.shape[1:3]) if self.fit_to_image else rows

    def _propose(self, images: np.ndarray) -> np.ndarray:
        """P-Net on every level of the pyramid → square candidates [M, 6]."""
        height, width = images.shape[1:3]
        jobs = []
        for scale in pyramid(height, width, min_face_size=self.min_face_size, scale_factor=self.scale_factor):
            size = int(width * scale), int(height * scale)
            step = max(1, MAX_LEVEL_PIXELS // (size[0] * size[1]))
            jobs += [(images, start, start + step, size, scale) for start in range(0, len(images), step)]
        run = self._pool.map if self._pool else map
        levels = list(run(lambda job: self._propose_at(*job), jobs))
        return _square(_suppress(np.concatenate(levels), 0.7)) if levels else np.empty((0, 6))

    def _propose_at(self, images: np.ndarray, start: int, stop: int, size: tuple[int, int], scale: float) -> np.ndarray:
        level = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images[start:stop]])
        (cells,) = self._pnet.run(["cells"], {"image": level})
        with np.errstate(divide="ignore"):  # a threshold of 0 or 1 is infinite log-odds: everything, nothing
            odds = np.log(self.thresholds[0]) - np.log1p(-self.thresholds[0])
        image, y, x = np.nonzero(cells[:, 4] > odds)
        found = cells[image, :, y, x].astype(np.float64)
        corners = np.stack([x * STRIDE + 1, y * STRIDE + 1, x * STRIDE + CELL, y * STRIDE + CELL], axis=1)
        boxes = (corners + found[:, :4] * (CELL - 1)) / scale
        return _suppress(np.column_stack([image + start, boxes, 1 / (1 + np.exp(-found[:, 4]))]), 0.5)

    def _reject(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """R-Net on the candidates → fewer, better squares [M, 6]."""
        offsets, scores = self._run(self._rnet, ("boxes", "scores"), images, rows, 24)
        rows = _regress(rows, offsets, scores[:, -1])
        return _square(_suppress(rows[rows[:, 5] > self.thresholds[1]], 0.7))

    def _output(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """O-Net on the candidates → faces with landmarks [M, 16]."""
        offsets, points, scores = self._run(self._onet, ("boxes", "points", "scores"), images, rows, 48)
        sides = rows[:, 3:5] - rows[:, 1:3] + 1
        points = points.reshape(-1, 2, 5) * sides[:, :, None] + rows[:, 1:3, None] - 1
        rows = np.column_stack([_regress(rows, offsets, scores[:, -1]), points.reshape(-1, 10)])
        return _suppress(rows[rows[:, 5] > self.thresholds[2]], 0.7, smaller=True)

    @staticmethod
    def _run(network, outputs, images: np.ndarray, rows: np.ndarray, side: int) -> list[np.ndarray]:
        results = [network.run(outputs, {"image": crop(images, rows[start:start + MAX_CROPS], side)})
                   for start in range(0, max(1, len(rows)), MAX_CROPS)]
        return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def pyramid(height: int, width: int, *, min_face_size: float, scale_factor: float) -> list[float]:
    """Scales at which P-Net's 12-px window covers faces from `min_face_size` pixels up to the image's shorter side."""
    scales, scale = [], CELL / min_face_size
    while min(height, width) * scale >= SMALLEST_LEVEL:
        scales.append(scale)
        scale *= scale_factor
    return scales


def crop(images: np.ndarray, rows: np.ndarray, side: int) -> np.ndarray:
    """Boxes of normalized images [N, H, W, 3] as float32 [M, side, side, 3], bilinear; 0 (mid-gray) outside the image.

    Samples where tf.image.crop_and_resize does, with corners divided by H and W but multiplied by H − 1 and W − 1.
    """
    count, height, width, channels = images.shape
    if len(rows) == 0:
        return np.zeros((0, side, side, channels), np.float32)
    steps = np.arange(side) / (side - 1)
    x = (rows[:, 1:2] + (rows[:, 3:4] - rows[:, 1:2]) * steps) * ((width - 1) / width)
    y = (rows[:, 2:3] + (rows[:, 4:5] - rows[:, 2:3]) * steps) * ((height - 1) / height)
    outside = ((y < 0) | (y > height - 1))[:, :, None] | ((x < 0) | (x > width - 1))[:, None, :]
    stacked_y = y + rows[:, :1] * height
    grid_x = np.where(outside, -9, x[:, None, :]).astype(np.float32).reshape(len(rows), -1)
    grid_y = np.where(outside, -9, stacked_y[:, :, None]).astype(np.float32).reshape(len(rows), -1)
    source = images.reshape(count * height, width, channels)
    patches = cv2.remap(source, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return patches.reshape(len(rows), side, side, channels)


def _session(name: str, threads: int):
    import onnxruntime as ort

    path = network_path(name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; `python -m fer_utils.faces.mtcnn_export` writes it again")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads would burn the second core that the classifier and the video writer need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _normalize(images: np.ndarray) -> np.ndarray:
    return (images.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)


def _suppress(rows: np.ndarray, threshold: float, *, smaller: bool = False) -> np.ndarray:
    """Rows by image and falling score, without those that overlap a better one of their image by more than `threshold`.

    As in the package, a row falls to any better row, even to one that fell itself: no loop, unlike greedy suppression.
    Overlap is intersection over union, or over the smaller of the two boxes.
    """
    rows = rows[np.lexsort((-rows[:, 5], rows[:, 0]))]
    _, starts = np.unique(rows[:, 0], return_index=True)
    parts = [part[_best(part[:, 1:5], threshold, smaller)] for part in np.split(rows, starts[1:])]
    return np.concatenate(parts)


def _best(boxes: np.ndarray, threshold: float, smaller: bool, block: int = 512) -> np.ndarray:
    keep = np.ones(len(boxes), bool)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for start in range(0, len(boxes), block):
        stop = min(start + block, len(boxes))
        better, mine = boxes[:stop, None], boxes[None, start:stop]
        sides = np.minimum(better[..., 2:], mine[..., 2:]) - np.maximum(better[..., :2], mine[..., :2])
        shared = np.maximum(sides[..., 0], 0) * np.maximum(sides[..., 1], 0)
        a, b = areas[:stop, None], areas[None, start:stop]
        whole = np.minimum(a, b) if smaller else a + b - shared
        overlaps = shared > threshold * whole
        keep[start:stop] = ~np.any(np.triu(overlaps, k=1 - start), axis=0)
    return keep


def _square(rows: np.ndarray) -> np.ndarray:
    rows = rows.copy()
    sides = rows[:, 3:5] - rows[:, 1:3]
    side = sides.max(axis=1, keepdims=True)
    rows[:, 1:3] += sides * 0.5 - side * 0.5
    rows[:, 3:5] = rows[:, 1:3] + side
    return rows


def _regress(rows: np.ndarray, offsets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    rows = rows.copy()
    sides = rows[:, 3:5] - rows[:, 1:3] + 1
    rows[:, 1:5] += offsets * np.tile(sides, 2)
    rows[:, 5] = scores
    return rows


def _fit(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    rows = rows.copy()
    rows[:, [1, 3]] = rows[:, [1, 3]].clip(0, shape[1] - 1)
    rows[:, [2, 4]] = rows[:, [2, 4]].clip(0, shape[0] - 1)
    return rows
