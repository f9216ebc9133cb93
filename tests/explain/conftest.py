"""Fixtures of this room."""

import cv2
import numpy as np
import pytest
from stored_runs import store

__all__ = ["face", "store"]


@pytest.fixture
def face():
    """Smooth noise, uint8 [48, 48]."""
    coarse = np.random.default_rng(5).integers(0, 256, (12, 12), dtype=np.uint8)
    return cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)
