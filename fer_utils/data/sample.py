"""The embedded sample: synthetic faces in FER2013's own form, and a clip with a real face.

`python -m tools.sample` draws them; no image of FER2013 is in them. The clip's face is NASA's portrait of the astronaut
Eileen Collins, in the public domain, as scikit-image ships it (`skimage.data.astronaut`), moved over a drawn wall.
"""

import csv
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).resolve().parent
SAMPLE = _FOLDER / "sample.csv.xz"  # 3,600 synthetic faces as fer2013.csv holds them
SAMPLE_VOTES = _FOLDER / "sample_votes.csv.xz"  # simulated votes as FER+'s fer2013new.csv holds them


class ClipTruth(NamedTuple):
    """The truth about one frame of the clip; without a face `box` and `label` are None."""

    box: tuple[float, float, float, float] | None = None  # x, y, width, height in pixels as MTCNN frames it, not cut
    label: str | None = None
    visible: float = 0.0  # share of the box's area inside the frame

    @property
    def expected(self) -> bool:
        """A detector should find the face; with less of it a detection is neither asked for nor false."""
        return self.visible >= 0.7


def clip_path() -> Path:
    """The clip: 200 frames of 640 × 480 pixels, 8 s at 25 frames/s (mp4, MPEG-4 Part 2)."""
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
    sides = ("x", "y", "width", "height")
    return [ClipTruth(tuple(float(row[side]) for side in sides), row["label"], float(row["visible"]))
            if row["label"] else ClipTruth() for row in rows]  # fmt: skip
