"""Faces over time: ids that stay, probabilities that do not flicker.

A `Tracker` joins the faces of one frame to those of the frames before (optimal assignment on predicted positions, after
SORT, Bewley et al. 2016, https://arxiv.org/abs/1602.00763) and smooths each track's probabilities with an exponential
moving average whose half-life is given in seconds, so that a slow camera is smoothed as strongly as a fast one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.data import CLASSES
from fer_utils.faces import Box
from fer_utils.faces.boxes import assign, centre, distance

if TYPE_CHECKING:
    from fer_utils.faces import Face

__all__ = ["UNCERTAIN", "Track", "Tracker", "flicker"]

UNCERTAIN = "uncertain"
# A face may be this many face sizes away from where its track expects it, and still be the same face.
GATE = 1.0
VELOCITY_HALF_LIFE = 0.15  # seconds


@dataclass
class Track:
    """One face followed over time.

    Attributes
    ----------
    id : 1, 2, 3 … in order of appearance, never used twice; 0 while the face waits to be confirmed.
    box : x, y, width, height in frame pixels, when last seen. `score` the detector's confidence in it, 0–1.
    landmarks : float32 [5, 2] (x, y) in frame pixels, or None.
    time : seconds, when last seen. `born` when first seen.
    raw : float32 [7] probabilities of the last frame; `probabilities` the same, smoothed; both None until classified.
    label : the class shown (kept until another leads clearly); `uncertain` when no class reaches the threshold.
    """

    box: Box
    score: float
    landmarks: np.ndarray | None
    time: float
    born: float
    id: int = 0
    hits: int = 1
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    raw: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    classified: float = 0.0
    label: str = ""
    uncertain: bool = True

    @property
    def text(self) -> str:
        """What to show: the label, or `uncertain`."""
        return UNCERTAIN if self.uncertain else self.label

    @property
    def confidence(self) -> float:
        """Smoothed probability of `label`, 0–1."""
        return float(self.probabilities[CLASSES.index(self.label)]) if self.label else 0.0

    def predicted(self, time: float) -> Box:
        """Where the box should be at `time` (seconds): moved on at its last speed."""
        x, y, width, height = self.box
        dx, dy = self.velocity * max(time - self.time, 0.0)
        return (x + float(dx), y + float(dy), width, height)

    def move(self, face: Face, time: float) -> None:
        """Take over a face seen at `time` (seconds)."""
        elapsed = time - self.time
        if elapsed > 0:
            measured = (centre(face.box) - centre(self.box)) / elapsed
            self.velocity = self.velocity + _weight(elapsed, VELOCITY_HALF_LIFE) * (measured - self.velocity)
        self.box, self.score, self.landmarks = _plain(face.box), float(face.score), face.landmarks
        self.time, self.hits = time, self.hits + 1


class Tracker:
    """Keeps the tracks of one video.

    Parameters
    ----------
    max_gap : seconds that a face may be out of sight and keep its id.
    half_life : seconds after which an old probability counts half; 0 switches smoothing off.
    uncertain : a smoothed probability below this is shown as "uncertain"; 0–1.
    margin : another class must lead by this much before the label changes (and the threshold is as sticky).
    confirm : a new face with a lower score than this must be seen twice before it counts; 0–1.
    """

    def __init__(
        self, *, max_gap: float = 1.0, half_life: float = 0.4, uncertain: float = 0.4, margin: float = 0.05,
        confirm: float = 0.95,
    ) -> None:
        for name, value in (("max_gap", max_gap), ("half_life", half_life)):
            if not value >= 0:
                raise ValueError(f"{name}: must be 0 or more seconds; got {value}")
        for name, value in (("uncertain", uncertain), ("margin", margin), ("confirm", confirm)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: must lie in 0–1; got {value}")
        self.max_gap, self.half_life, self.uncertain = max_gap, half_life, uncertain
        self.margin, self.confirm = margin, confirm
        self.tracks: list[Track] = []
        self._count = 0
        self._now = -np.inf

    @property
    def visible(self) -> list[Track]:
        """Tracks that were seen in the last frame, those waiting to be confirmed included."""
        return [track for track in self.tracks if track.time == self._now]

    @property
    def lost(self) -> list[Track]:
        """Confirmed tracks that were not seen in the last frame but may come back."""
        return [track for track in self.tracks if track.id and track.time != self._now]

    def update(
        self, faces: Sequence[Face], time: float, *, owners: Sequence[Track | None] | None = None, sure: bool = False
    ) -> list[Track]:
        """Take in the faces of one frame.

        Parameters
        ----------
        faces : what was found, in frame pixels.
        time : seconds; must not run backwards.
        owners : for each face, the track it is known to belong to (it was searched at that track's place), or None: it
            is matched with the other tracks. Default: all are matched.
        sure : new faces need no confirmation (there will be no second frame).

        Returns
        -------
        The confirmed tracks seen in this frame, by id. They go on living: copy what you keep.
        """
        self._now = time
        self.tracks = [track for track in self.tracks if time - track.time <= self.max_gap]
        for face, track in zip(faces, self._match(faces, time, owners or [None] * len(faces)), strict=True):
            if track is None:
                self.tracks.append(Track(_plain(face.box), float(face.score), face.landmarks, time=time, born=time))
            else:
                track.move(face, time)
        self.tracks = [track for track in self.tracks if track.id or track.time == time]
        for track in self.visible:
            if not track.id and (sure or track.hits > 1 or track.score >= self.confirm):
                self._count += 1
                track.id = self._count
        return sorted((track for track in self.visible if track.id), key=lambda track: track.id)

    def classify(self, tracks: Sequence[Track], probabilities: np.ndarray, time: float) -> None:
        """Give tracks the probabilities (float [N, 7], one row a track) of the frame at `time` and smooth them."""
        for track, raw in zip(tracks, np.asarray(probabilities, np.float32), strict=True):
            weight = 1.0 if track.probabilities is None else _weight(time - track.classified, self.half_life)
            before = raw if track.probabilities is None else track.probabilities
            track.raw, track.probabilities, track.classified = raw, before + np.float32(weight) * (raw - before), time
            self._decide(track)

    def snapshot(self, tracks: Sequence[Track]) -> list[Track]:
        """Copies that later frames do not change."""
        return [copy.copy(track) for track in tracks]

    def reset(self) -> None:
        """Forget all faces (another scene follows); ids go on counting."""
        self.tracks, self._now = [], -np.inf

    def _match(self, faces: Sequence[Face], time: float, owners: Sequence[Track | None]) -> list[Track | None]:
        result = list(owners)
        free = [track for track in self.tracks if not any(track is owner for owner in owners)]
        open_faces = [i for i, owner in enumerate(owners) if owner is None]
        cost = np.array([[distance(track.predicted(time), faces[i].box) for i in open_faces] for track in free])
        for row, column in assign(cost.reshape(len(free), len(open_faces)), limit=GATE):
            result[open_faces[column]] = free[row]
        return result

    def _decide(self, track: Track) -> None:
        best = int(np.argmax(track.probabilities))
        if not track.label or track.probabilities[best] >= track.confidence + self.margin:
            track.label = CLASSES[best]
        threshold = self.uncertain if track.uncertain else self.uncertain - self.margin
        track.uncertain = bool(track.confidence < threshold)


def flicker(labels: Sequence[str], times: Sequence[float]) -> float:
    """Label changes a second over one track: `labels[i]` was shown at `times[i]` (seconds)."""
    if len(labels) != len(times):
        raise ValueError(f"times: must have one entry a label; got {len(times)} for {len(labels)} labels")
    changes = sum(a != b for a, b in zip(labels, labels[1:], strict=False))
    return changes / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def _weight(elapsed: float, half_life: float) -> float:
    """Share of the new value in a moving average, after `elapsed` seconds."""
    return 1.0 if half_life <= 0 else 1.0 - 0.5 ** (max(elapsed, 0.0) / half_life)


def _plain(box: Sequence[float]) -> Box:
    x, y, width, height = (float(value) for value in box)
    return x, y, width, height
