"""Faces over time: ids that stay, probabilities that do not flicker.

A `Tracker` joins the faces of one frame to those of the frames before (optimal assignment on predicted positions, after
SORT, Bewley et al. 2016, https://arxiv.org/abs/1602.00763) and smooths each track's probabilities with an exponential
moving average whose half-life is given in seconds, so that a slow camera is smoothed as strongly as a fast one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from fer_utils.data import CLASSES
from fer_utils.faces import Box, Face

UNCERTAIN = "uncertain"
GATE = 1.0  # face sizes that a face may be away from where its track expects it, and still be the same face
VELOCITY_HALF_LIFE = 0.15  # seconds
MARGIN = 0.05  # by which another class must lead before the label changes; the threshold is as sticky
MAX_GAP = 1.0  # seconds that a face may be out of sight and keep its id
CONFIRM = 0.95  # a new face with a lower score must be seen twice before it counts


@dataclass(eq=False)
class Track:
    """One face followed over time, as last seen."""

    box: Box  # frame pixels
    score: float  # the detector's confidence in it, 0–1
    landmarks: np.ndarray  # float32 [5, 2], x and y in frame pixels
    time: float  # seconds
    id: int = 0  # 1, 2, 3 … in order of appearance, never used twice; 0 while the face waits to be confirmed
    hits: int = 1  # times seen
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # of the box's centre, pixels a second
    classes: tuple[str, ...] = CLASSES
    raw: np.ndarray | None = None  # float32 [K], probabilities of the classes in the last frame
    probabilities: np.ndarray | None = None  # the same, smoothed
    classified: float = 0.0  # seconds, when last classified
    label: str = ""  # the class shown, kept until another leads clearly
    uncertain: bool = True  # whether no class reaches `min_confidence`

    @property
    def text(self) -> str:
        """What to show: the label, or `uncertain`."""
        return UNCERTAIN if self.uncertain else self.label

    @property
    def confidence(self) -> float:
        """Smoothed probability of `label`, 0–1."""
        return float(self.probabilities[self.classes.index(self.label)]) if self.label else 0.0

    def predicted(self, time: float) -> Box:
        """Where the box should be at `time` (seconds): moved on at its last speed."""
        x, y, width, height = self.box
        dx, dy = self.velocity * max(time - self.time, 0.0)
        return (x + float(dx), y + float(dy), width, height)

    def covered(self, time: float) -> Box:
        """A box around where the face was last seen and where it should be at `time` (seconds)."""
        (x, y, width, height), (left, top, _, _) = self.box, self.predicted(time)
        return (min(x, left), min(y, top), width + abs(left - x), height + abs(top - y))

    def move(self, face: Face, time: float) -> None:
        """Take over a face seen at `time` (seconds)."""
        elapsed = time - self.time
        if elapsed > 0:
            measured = (_centre(face.box) - _centre(self.box)) / elapsed
            self.velocity = self.velocity + _weight(elapsed, VELOCITY_HALF_LIFE) * (measured - self.velocity)
        self.box, self.score, self.landmarks = face.box, face.score, face.landmarks
        self.time, self.hits = time, self.hits + 1


class Tracker:
    """Keeps the tracks of one video. `half_life`, `min_confidence`: see `Settings`; `max_gap`: seconds out of sight."""

    def __init__(self, *, half_life: float = 0.4, min_confidence: float = 0.4, max_gap: float = MAX_GAP,
                 classes: tuple[str, ...] = CLASSES) -> None:
        self.half_life, self.min_confidence, self.max_gap, self.classes = half_life, min_confidence, max_gap, classes
        self._count = 0
        self.reset()

    @property
    def visible(self) -> list[Track]:
        """Tracks that were seen in the last frame, confirmed or not."""
        return [track for track in self.tracks if track.time == self._now]

    @property
    def lost(self) -> list[Track]:
        """Confirmed tracks that were not seen in the last frame but may come back."""
        return [track for track in self.tracks if track.id and track.time != self._now]

    @property
    def hidden(self) -> list[Track]:
        """Tracks that a frame's result does not show: lost ones, and those that wait to be confirmed or did in vain."""
        return [track for track in self.tracks if not track.id or track.time != self._now]

    def update(self, faces: Sequence[Face], time: float, *, owners: Sequence[Track | None] = (),
               sure: bool = False) -> list[Track]:
        """Take in the faces of the frame at `time` (seconds) and return its confirmed tracks by id.

        `owners`: the track that each face is known to belong to, or None. `sure`: new faces need no confirmation.
        """
        before, self._now, owners = self._now, time, list(owners) or [None] * len(faces)
        self.tracks = [track for track in self.tracks if time - track.time <= self.max_gap]
        # A face is confirmed by two frames in a row, not by two with a gap between them.
        free = [track for track in self.tracks if track not in owners and (track.id or track.time == before)]
        new = [i for i, owner in enumerate(owners) if owner is None]
        cost = np.array([[_distance(track.predicted(time), faces[i].box) for i in new] for track in free])
        for row, column in assign(cost.reshape(len(free), len(new)), limit=GATE):
            owners[new[column]] = free[row]
        for face, track in zip(faces, owners, strict=True):
            if track is None:
                self.tracks.append(Track(face.box, face.score, face.landmarks, time, classes=self.classes))
            else:
                track.move(face, time)
        for track in self.visible:
            if not track.id and (sure or track.hits > 1 or track.score >= CONFIRM):
                self._count += 1
                track.id = self._count
        return sorted((track for track in self.visible if track.id), key=lambda track: track.id)

    def classify(self, tracks: Sequence[Track], probabilities: np.ndarray, time: float) -> None:
        """Give tracks the probabilities (float [N, K], one row a track) of the frame at `time` and smooth them."""
        for track, raw in zip(tracks, np.asarray(probabilities, np.float32), strict=True):
            before = raw if track.probabilities is None else track.probabilities
            weight = np.float32(_weight(time - track.classified, self.half_life))
            track.raw, track.probabilities, track.classified = raw, before + weight * (raw - before), time
            best = int(np.argmax(track.probabilities))
            if not track.label or track.probabilities[best] >= track.confidence + MARGIN:
                track.label = self.classes[best]
            threshold = self.min_confidence if track.uncertain else self.min_confidence - MARGIN
            track.uncertain = bool(track.confidence < threshold)

    def reset(self) -> None:
        """Forget all faces (another scene follows); ids go on counting."""
        self.tracks, self._now = [], -np.inf


def assign(cost: np.ndarray, *, limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total `cost` (float [rows, columns]), none above `limit`, each used once."""
    rows, columns = cost.shape
    if not cost.size:
        return []
    # Every row and column has a partner of its own at price `limit`: leaving both free is then a choice like any other.
    square = np.full((rows + columns, rows + columns), limit, np.float32)
    square[:rows, :columns] = np.minimum(cost, 3 * limit + 1)
    square[rows:, columns:] = 0
    # Moving earth from heaps of 1 into holes of 1 is this assignment; SciPy's takes half a second to import.
    ones = np.ones((rows + columns, 1), np.float32)
    _, _, flow = cv2.EMD(ones, ones, cv2.DIST_USER, cost=square)
    return [(int(i), int(j)) for i, j in np.argwhere(flow[:rows, :columns] > 0.5) if cost[i, j] <= limit]


def _distance(a: Box, b: Box) -> float:
    """Distance of two boxes' centres in face sizes, plus how much their sizes differ (natural logarithm)."""
    size_a, size_b = (a[2] * a[3]) ** 0.5, (b[2] * b[3]) ** 0.5
    return float(np.hypot(*(_centre(a) - _centre(b))) / max((size_a + size_b) / 2, 1e-6) + abs(np.log(size_a / size_b)))


def _centre(box: Box) -> np.ndarray:
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])


def _weight(elapsed: float, half_life: float) -> float:
    """Share of the new value in a moving average, after `elapsed` seconds."""
    return 1.0 if half_life <= 0 else 1.0 - 0.5 ** (max(elapsed, 0.0) / half_life)
