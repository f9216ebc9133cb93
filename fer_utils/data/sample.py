"""The embedded sample: synthetic faces in FER2013's own form, and a clip with a real face.

`python -m tools.sample` draws them; no image of FER2013 is in them. The clip's face is NASA's portrait of the astronaut
Eileen Collins, in the public domain, as scikit-image ships it (`skimage.data.astronaut`), moved over a drawn wall.
"""

from __future__ import annotations

import csv
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

__all__ = ["ClipTruth", "clip_path", "clip_truth", "sample_path", "sample_votes_path"]

_FOLDER = Path(__file__).resolve().parent


class ClipTruth(NamedTuple):
    """The truth about one frame of the clip.

    Attributes
    ----------
    box : the face as (x, y, width, height) in pixels of the frame, as MTCNN frames it, not cut at the frame's edge;
        None when nothing of it is inside.
    label : its class, None without a box.
    visible : share of the box's area inside the frame, 0–1.

    Examples
    --------
    >>> ClipTruth((160.0, 180.0, 63.0, 81.0), "Happy", 1.0).expected
    True
    """

    box: tuple[float, float, float, float] | None = None
    label: str | None = None
    visible: float = 0.0

    @property
    def expected(self) -> bool:
        """A detector is expected to find the face: at least 70 % of it is visible.

        With less, a detection is neither asked for nor an error; only without a box it is a false detection.
        """
        return self.visible >= 0.7


def sample_path() -> Path:
    """The sample: 3,600 synthetic faces as fer2013.csv holds them, xz-compressed."""
    return _FOLDER / "sample.csv.xz"


def sample_votes_path() -> Path:
    """The sample's simulated votes in the form of FER+'s fer2013new.csv, xz-compressed."""
    return _FOLDER / "sample_votes.csv.xz"


def clip_path() -> Path:
    """The clip: 200 frames of 640 × 480 pixels, 8 s at 25 frames/s (mp4, MPEG-4 Part 2).

    Examples
    --------
    >>> capture = cv2.VideoCapture(str(clip_path()))
    """
    return _FOLDER / "clip.mp4"


def clip_truth() -> list[ClipTruth]:
    """The truth about each frame of the clip, in order.

    Examples
    --------
    >>> [truth.label for truth in clip_truth()[:2]]
    ['Happy', 'Happy']
    """
    with open(_FOLDER / "clip_truth.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    box = itemgetter("x", "y", "width", "height")
    return [
        ClipTruth(tuple(map(float, box(row))), row["label"], float(row["visible"])) if row["label"] else ClipTruth()
        for row in rows
    ]
