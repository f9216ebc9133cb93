"""Boxes (x, y, width, height in pixels): overlap, distance, and who belongs to whom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["Box", "assign", "centre", "distance", "iou"]

Box = tuple[float, float, float, float]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x, y, width, height): 0 (apart) to 1 (equal)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


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
