"""Boxes: overlap, and what MTCNN's cascade does with them.

A `Box` is x, y, width, height. The cascade's rows are float64 [M, 6 or 16]: image index, x1, y1, x2, y2 (pixels), score
(0–1), and in the end five landmark x and five landmark y (pixels).
"""

from collections.abc import Sequence

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


def apart(rows: np.ndarray, known: Sequence[Box]) -> np.ndarray:
    """Rows whose middle lies in none of the `known` boxes, or that are half as large again."""
    keep = np.ones(len(rows), bool)
    middle, side = (rows[:, 1:3] + rows[:, 3:5]) / 2, rows[:, 3] - rows[:, 1]
    for x, y, width, height in known:
        within = (middle > (x, y)) & (middle < (x + width, y + height))
        keep &= ~within.all(axis=1) | (side > 1.5 * max(width, height))
    return rows[keep]


def suppress(rows: np.ndarray, threshold: float, *, smaller: bool = False,
             levels: np.ndarray | None = None) -> np.ndarray:
    """Rows by image and falling score, without those that overlap a better one of their image by more than `threshold`.

    As in the `mtcnn` package, a row falls even to a better one that fell itself: no loop, unlike greedy suppression.
    Overlap is intersection over union, or over the smaller of the two boxes. `levels` [M]: only rows of equal level
    count as rivals.
    """
    if len(rows) < 2:
        return rows
    order = np.lexsort((-rows[:, 5], rows[:, 0]))
    rows, levels = rows[order], np.zeros(len(rows)) if levels is None else levels[order]
    ends = np.flatnonzero(np.diff(rows[:, 0], append=np.inf)) + 1
    parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    keep = [_keep(rows[part, 1:5], levels[part], threshold, smaller) for part in parts]
    return rows[np.concatenate(keep)]


def _keep(boxes: np.ndarray, levels: np.ndarray, threshold: float, smaller: bool, block: int = 512) -> np.ndarray:
    """bool [M]: no earlier box of its level overlaps this one; a block of them at a time, to bound the memory."""
    keep = np.ones(len(boxes), bool)
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1) * (y2 - y1)
    for start in range(0, len(boxes), block):
        stop = min(start + block, len(boxes))
        mine = slice(start, stop)
        width = np.minimum(x2[:stop, None], x2[mine]) - np.maximum(x1[:stop, None], x1[mine])
        height = np.minimum(y2[:stop, None], y2[mine]) - np.maximum(y1[:stop, None], y1[mine])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        a, b = areas[:stop, None], areas[mine]
        whole = np.minimum(a, b) if smaller else a + b - shared
        rivals = (shared > threshold * whole) & (levels[:stop, None] == levels[mine])
        keep[mine] = ~np.any(np.triu(rivals, k=1 - start), axis=0)
    return keep
