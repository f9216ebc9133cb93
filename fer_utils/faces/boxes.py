"""Boxes: overlap, and what MTCNN's cascade does with them.

A `Box` is x, y, width, height. The cascade's rows are float64 [M, 6 or 16]: image index, x1, y1, x2, y2 (pixels), score
(0–1), and in the end five landmark x and five landmark y (pixels).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Box", "clip", "iou", "regress", "square", "suppress"]

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

    As in the `mtcnn` package, a row falls to any better row, even to one that fell itself: no loop, unlike greedy
    suppression. Overlap is intersection over union, or over the smaller of the two boxes.
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


def centre(box: Sequence[float]) -> np.ndarray:
    """Middle of a box: float [2] (x, y)."""
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Distance of two boxes' centres in face sizes, plus how much their sizes differ (natural logarithm)."""
    size_a, size_b = (a[2] * a[3]) ** 0.5, (b[2] * b[3]) ** 0.5
    return float(np.hypot(*(centre(a) - centre(b))) / max((size_a + size_b) / 2, 1e-6) + abs(np.log(size_a / size_b)))


def assign(cost: np.ndarray, *, limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost, each row and column used once (Hungarian method, O(n³)).

    Parameters
    ----------
    cost : float [rows, columns], finite; either side may be 0.
    limit : a pair that costs more stays unpaired.

    Returns
    -------
    Pairs in row order.
    """
    rows, columns = cost.shape
    size = rows + columns
    # Every row and column has a partner of its own at price `limit`: leaving both free is then a choice like any other.
    square = np.full((size, size), limit, float)
    square[:rows, :columns] = np.minimum(cost, 3 * limit + 1)
    square[rows:, columns:] = 0
    column_of = _hungarian(square)
    pairs = [(row, column_of[row]) for row in range(rows) if column_of[row] < columns]
    return [(row, column) for row, column in pairs if cost[row, column] <= limit]


def _hungarian(cost: np.ndarray) -> list[int]:
    """Column of each row in the cheapest perfect matching of a square matrix (shortest augmenting paths)."""
    n = len(cost)
    u, v = np.zeros(n + 1), np.zeros(n + 1)
    row_of, way = [n] * (n + 1), [n] * (n + 1)
    for row in range(n):
        row_of[n], column = row, n
        least, done = np.full(n, np.inf), np.zeros(n + 1, bool)
        while row_of[column] != n:
            done[column] = True
            i = row_of[column]
            reduced = cost[i] - u[i] - v[:n]
            better = ~done[:n] & (reduced < least)
            least[better] = reduced[better]
            for j in np.flatnonzero(better):
                way[j] = column
            following = int(np.argmin(np.where(done[:n], np.inf, least)))
            step = least[following]
            for j in np.flatnonzero(done):
                u[row_of[j]] += step
                v[j] -= step
            least[~done[:n]] -= step
            column = following
        while column != n:
            row_of[column], column = row_of[way[column]], way[column]
    result = [0] * n
    for column in range(n):
        result[row_of[column]] = column
    return result
