"""Boxes: overlap, and what MTCNN's cascade does with them.

A `Box` is x, y, width, height. The cascade's rows are float64 [M, 6 or 16]: image index, x1, y1, x2, y2 (pixels), score
(0–1), and in the end five landmark x and five landmark y (pixels).
"""

import numpy as np

Box = tuple[float, float, float, float]  # x, y (upper left corner), width and height in pixels


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes: 0 (apart) to 1 (equal).

    Examples
    --------
    >>> faces.iou((0, 0, 10, 10), (0, 0, 10, 5))
    0.5
    """
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def square(rows: np.ndarray) -> np.ndarray:
    """Each row's box made square around its centre, with its longer side."""
    rows = rows.copy()
    sides = rows[:, 3:5] - rows[:, 1:3]
    side = sides.max(axis=1, keepdims=True)
    rows[:, 1:3] += sides * 0.5 - side * 0.5
    rows[:, 3:5] = rows[:, 1:3] + side
    return rows


def regress(rows: np.ndarray, offsets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rows moved by a network's offsets [M, 4] (fractions of the box), with its scores [M]."""
    rows = rows.copy()
    sides = rows[:, 3:5] - rows[:, 1:3] + 1
    rows[:, 1:5] += offsets * np.tile(sides, 2)
    rows[:, 5] = scores
    return rows


def clip(rows: np.ndarray, height: int, width: int) -> np.ndarray:
    """Rows with their boxes cut at the image's border."""
    rows = rows.copy()
    rows[:, [1, 3]] = rows[:, [1, 3]].clip(0, width - 1)
    rows[:, [2, 4]] = rows[:, [2, 4]].clip(0, height - 1)
    return rows


def suppress(rows: np.ndarray, threshold: float, *, smaller: bool = False) -> np.ndarray:
    """Rows by image and falling score, without those that overlap a better one of their image by more than `threshold`.

    As in the `mtcnn` package, a row falls even to a better one that fell itself: no loop, unlike greedy suppression.
    Overlap is intersection over union, or over the smaller of the two boxes.
    """
    rows = rows[np.lexsort((-rows[:, 5], rows[:, 0]))]
    _, starts = np.unique(rows[:, 0], return_index=True)
    parts = [part[_keep(part[:, 1:5], threshold, smaller)] for part in np.split(rows, starts[1:])]
    return np.concatenate(parts)


def _keep(boxes: np.ndarray, threshold: float, smaller: bool, block: int = 512) -> np.ndarray:
    """bool [M]: no earlier box of one image overlaps this one; a block of them at a time, to bound the memory."""
    keep = np.ones(len(boxes), bool)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for start in range(0, len(boxes), block):
        stop = min(start + block, len(boxes))
        better, mine = boxes[:stop, None], boxes[None, start:stop]
        sides = np.minimum(better[..., 2:], mine[..., 2:]) - np.maximum(better[..., :2], mine[..., :2])
        shared = np.maximum(sides[..., 0], 0) * np.maximum(sides[..., 1], 0)
        a, b = areas[:stop, None], areas[None, start:stop]
        whole = np.minimum(a, b) if smaller else a + b - shared
        keep[start:stop] = ~np.any(np.triu(shared > threshold * whole, k=1 - start), axis=0)
    return keep
