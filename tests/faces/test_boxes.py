from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from fer_utils.faces import iou
from fer_utils.faces.boxes import assign, centre, distance


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3),
        ((0, 0, 10, 10), (10, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (2, 2, 5, 5), 0.25),
    ],
)
def test_iou(a, b, expected):
    assert iou(a, b) == pytest.approx(expected)
    assert iou(b, a) == pytest.approx(expected)


def test_distance_is_in_face_sizes():
    assert centre((10, 20, 40, 60)) == pytest.approx((30, 50))
    assert distance((0, 0, 10, 10), (10, 0, 10, 10)) == pytest.approx(1)
    assert distance((0, 0, 100, 100), (100, 0, 100, 100)) == pytest.approx(1)
    assert distance((0, 0, 10, 10), (-5, -5, 20, 20)) == pytest.approx(np.log(2))


def cheapest(cost: np.ndarray, limit: float) -> float:
    """By trying everything: pairs at their cost, what stays alone (counted by row) at `limit`."""
    rows, columns = cost.shape
    padded = np.full((rows, columns + rows), limit)
    padded[:, :columns] = np.minimum(cost, limit)
    return min(sum(padded[i, j] for i, j in enumerate(order)) for order in permutations(range(columns + rows), rows))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 2), (2, 4), (4, 3)])
@pytest.mark.parametrize("seed", range(6))
def test_assign_is_optimal(shape, seed):
    cost = np.random.default_rng(seed).uniform(0, 2, shape)
    pairs = assign(cost, limit=1.0)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(cost[pair] <= 1.0 for pair in pairs)
    total = sum(cost[pair] for pair in pairs) + (shape[0] - len(pairs))
    assert total == pytest.approx(cheapest(cost, 1.0))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_assign_nothing(shape):
    assert assign(np.zeros(shape), limit=1.0) == []


def test_greedy_would_fail_here():
    # The closest pair (0, 0) would leave row 1 with a far partner.
    assert assign(np.array([[0.1, 0.2], [0.2, 0.9]]), limit=1.0) == [(0, 1), (1, 0)]
