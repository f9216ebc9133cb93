"""Boxes: overlap and MTCNN's suppression against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from fer_utils.faces import iou
from fer_utils.faces.boxes import suppress


def test_iou_of_boxes_equal_shifted_touching_and_inside():
    a = (0, 0, 10, 10)
    for b, expected in ((a, 1), ((5, 0, 10, 10), 1 / 3), ((10, 0, 10, 10), 0), ((2, 2, 5, 5), 0.25)):
        assert iou(a, b) == iou(b, a) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "smaller"), [(0, False), (1, True), (40, False), (40, True), (1300, True)])
def test_suppression_against_a_loop(count, smaller):
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 90, (count, 2))
    opposite = corner + rng.uniform(10, 40, (count, 2))
    rows = np.column_stack([rng.integers(0, 3, count), corner, opposite, rng.random(count)])
    expected = []
    for image in range(3):
        mine = sorted((row for row in rows if row[0] == image), key=lambda row: -row[5])
        for place, row in enumerate(mine):
            if not any(shared(row, better, smaller) > 0.5 for better in mine[:place]):
                expected.append(row)
    np.testing.assert_array_equal(suppress(rows, 0.5, smaller=smaller), np.array(expected).reshape(-1, 6))


def shared(a: np.ndarray, b: np.ndarray, smaller: bool) -> float:
    width, height = min(a[3], b[3]) - max(a[1], b[1]), min(a[4], b[4]) - max(a[2], b[2])
    common = max(width, 0) * max(height, 0)
    areas = [(row[3] - row[1]) * (row[4] - row[2]) for row in (a, b)]
    return common / (min(areas) if smaller else sum(areas) - common)
