"""Where there is room in a frame: places beside a face that hide no other face and nothing else that is drawn."""

import numpy as np

from fer_utils.faces import Box

Corner = tuple[float, float]  # x and y of the upper left corner
Size = tuple[float, float]  # width and height


class Layout:
    """What is taken of a frame of `shape` (height, width): faces and `margin` pixels around, then what gets a place."""

    def __init__(self, shape: tuple[int, ...], boxes: list[Box], *, margin: float) -> None:
        self.width, self.height = shape[1], shape[0]
        self._taken = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], float).reshape(-1, 4)
        self._taken += (-margin, -margin, margin, margin)

    def around(self, box: Box, size: Size, *, gap: float, beside: bool = False) -> np.ndarray:
        """Corners [M, 2] of rectangles above, below, right and left of a box (`beside`: these first), best first.

        Where there is room along an edge, one of them fits: each ends where something else begins.
        """
        (x, y, width, height), (wide, high), taken = box, size, self._taken
        columns = np.concatenate([[x, x + width - wide, 0, self.width - wide], taken[:, 2], taken[:, 0] - wide])
        columns = sorted(columns[(columns >= x - wide) & (columns <= x + width)], key=lambda column: abs(column - x))
        rows = np.concatenate([[y, y + height - high, 0, self.height - high], taken[:, 3], taken[:, 1] - high])
        rows = sorted(rows[(rows >= y - high) & (rows <= y + height)], key=lambda row: abs(row - y))
        flat = [(column, row) for row in (y - high - gap, y + height + gap) for column in columns]
        upright = [(column, row) for column in (x + width + gap, x - wide - gap) for row in rows]
        return np.array(upright + flat if beside else flat + upright).reshape(-1, 2)

    def free(self, corners: np.ndarray, size: Size, *, own: int | None = None) -> Corner | None:
        """The first of some corners [M, 2] where a rectangle is in the frame and hides nothing (but face `own`)."""
        taken = self._taken if own is None else np.delete(self._taken, own, axis=0)
        good = np.flatnonzero(self._fits(corners, size) & (_shared(corners, size, taken).sum(axis=1) == 0))
        return tuple(map(float, corners[good[0]])) if len(good) else None

    def least(self, corners: np.ndarray, size: Size) -> Corner | None:
        """That one of some corners [M, 2] in the frame where a rectangle hides least; None without any."""
        corners = corners[self._fits(corners, size)]
        hidden = _shared(corners, size, self._taken).sum(axis=1)
        return tuple(map(float, corners[np.argmin(hidden)])) if len(corners) else None

    def take(self, corner: Corner, size: Size) -> None:
        """Nothing else is to be drawn there."""
        self._taken = np.vstack([self._taken, (*corner, corner[0] + size[0], corner[1] + size[1])])

    def _fits(self, corners: np.ndarray, size: Size) -> np.ndarray:
        return ((corners >= 0) & (corners + size <= (self.width, self.height))).all(axis=1)


def _shared(corners: np.ndarray, size: Size, taken: np.ndarray) -> np.ndarray:
    """Pixels that rectangles at corners [M, 2] share with others [N, 4]: [M, N]."""
    low = np.maximum(corners[:, None], taken[:, :2])
    high = np.minimum(corners[:, None] + size, taken[:, 2:])
    return np.maximum(high - low, 0).prod(axis=2)
