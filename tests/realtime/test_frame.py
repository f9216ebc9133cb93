from __future__ import annotations

import numpy as np
import pytest

from fer_utils.faces import ImageError
from fer_utils.realtime.frame import as_frame

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOURS = np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=-1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (COLOURS, COLOURS),
        (RAMP, np.repeat(RAMP[:, :, None], 3, 2)),
        (RAMP[:, :, None], np.repeat(RAMP[:, :, None], 3, 2)),
        (np.dstack([COLOURS, RAMP]), COLOURS),
        (COLOURS.astype(np.uint16) * 257, COLOURS),
        (COLOURS.astype(np.float32), COLOURS),
        (COLOURS / 255.0, COLOURS),
        (RAMP > 127, np.repeat(((RAMP > 127) * 255)[:, :, None], 3, 2)),
        (COLOURS[:1, :1], COLOURS[:1, :1]),
        (COLOURS[:, ::-1], COLOURS[:, ::-1]),
    ],
    ids=["rgb", "gray", "gray1", "rgba", "uint16", "float255", "float1", "bool", "one pixel", "mirrored view"],
)
def test_any_picture_becomes_rgb(given, expected):
    frame = as_frame(given)
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    assert np.array_equal(frame, expected)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((0, 0, 3), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros(5, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8), np.full((4, 4, 3), np.nan), np.full((4, 4, 3), 300.0), np.full((4, 4), -1.0),
        np.zeros((4, 4, 3), np.int64), np.array(None), np.array([["a", "b"]]),
    ],
)
def test_what_is_no_picture_gets_a_clear_error(wrong):
    with pytest.raises(ImageError, match="^image: .*got "):
        as_frame(wrong)
