"""What a run amounted to: speed and faces in words, a table with a row for each track, the longest ones in a plot."""

import csv
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_utils.data.sample import ClipTruth
from fer_utils.faces import Box, iou
from fer_utils.realtime._pipeline import STAGES, Result
from fer_utils.realtime.sinks import AtOnce, SinkError
from fer_utils.realtime.tracker import UNCERTAIN, Track

MATCH = 0.3  # a found box and the true one must overlap this much (IoU): MTCNN frames a face tighter than people do
KEPT = 10_000  # frames whose times are remembered: enough for percentiles, and flat memory in a run of days
MOMENTS = 10_000  # frames that are drawn, at least; of a longer run every second one, every fourth …


def detection(found: Sequence[Sequence[Box]], truth: Sequence[ClipTruth]) -> str:
    """What share of the true faces was found, as a sentence; ValueError when `truth` is shorter than `found`.

    `found`: boxes (x, y, width, height in pixels) of each frame. `truth`: of each frame, as `data.clip_truth()`.

    Examples
    --------
    >>> boxes = [[track.box for track in result.tracks] for result in pipeline("clip")]
    >>> print(detection(boxes, data.clip_truth()))
    """
    if len(found) > len(truth):
        raise ValueError(f"truth: must have an entry for each of the {len(found)} frames; got {len(truth)}")
    pairs = list(zip(found, truth, strict=False))
    hits = [(true, [iou(box, true.box) >= MATCH for box in boxes]) for boxes, true in pairs if true.box]
    expected = [any(hit) for true, hit in hits if true.expected]
    empty = [bool(boxes) for boxes, true in pairs if true.box is None]
    rate = 100 * sum(expected) / len(expected) if expected else float("nan")
    return (f"face found in {sum(expected)} of {len(expected)} frames that hold one ({rate:.1f} %), "
            f"false detections in {sum(empty)} of {len(empty)} frames that hold none, "
            f"{sum(hit.count(False) for _, hit in hits)} stray boxes "
            f"({len(hits) - len(expected)} frames with less than the face are not counted)")


class Summary:
    """What a run amounted to; it may be read while the run goes on."""

    def __init__(self) -> None:
        self.frames = self.faces = self.frames_with_face = self.left_out = 0
        self.still = False  # pictures, not a video
        self.labels: Counter[str] = Counter()  # frames by label
        self.tracks: dict[int, Counter[str]] = {}  # the same for each track's id
        self._spent: deque[dict[str, float]] = deque(maxlen=KEPT)
        self._ends: deque[float] = deque(maxlen=30)
        self._start = time.perf_counter()

    def add(self, result: Result, **extra: float) -> None:
        """Count a result; `extra` are milliseconds of stages outside the pipeline (`draw`, `write`)."""
        self.frames += 1
        self.faces += len(result.tracks)
        self.frames_with_face += bool(result.tracks)
        for track in result.tracks:
            self.labels[track.text] += 1
            self.tracks.setdefault(track.id, Counter())[track.text] += 1
        self._spent.append(result.milliseconds | extra)
        self._ends.append(time.perf_counter())

    @property
    def fps(self) -> float:
        """Frames a second from the start to the last result, everything included."""
        return self.frames / (self._ends[-1] - self._start) if self.frames else 0.0

    @property
    def recent_fps(self) -> float | None:
        """Frames a second over the last 30 frames; None for the first five."""
        if len(self._ends) < 5:
            return None
        return (len(self._ends) - 1) / max(self._ends[-1] - self._ends[0], 1e-6)

    @property
    def stages(self) -> dict[str, np.ndarray]:
        """Milliseconds by stage, one entry a frame (the last 10,000), in the order of the work."""
        # A copy: another thread may be adding while a notebook draws.
        rows = list(self._spent)
        names = [name for name in ("read", *STAGES, "draw", "write") if any(name in row for row in rows)]
        return {name: np.array([row.get(name, 0.0) for row in rows]) for name in names}

    def percentile(self, q: float) -> float:
        """Percentile (0–100) of the milliseconds from a frame's arrival to its labels drawn."""
        work = [spent for stage, spent in self.stages.items() if stage not in ("read", "write")]
        return float(np.percentile(np.sum(work, axis=0), q)) if work else float("nan")

    def lines(self) -> list[str]:
        """The summary in words, one line a fact."""
        if not self.frames:
            return ["no frame was processed"]
        if self.still:
            labels = ", ".join(f"{label} {n}" for label, n in self.labels.most_common()) or "none"
            empty = self.frames - self.frames_with_face
            return [f"speed: {self.fps:.1f} pictures a second over {self.frames} pictures",
                    f"pictures: {self.frames_with_face} with a face, {empty} without, {self.left_out} left out",
                    f"faces: {self.faces} (by apparent expression: {labels})"]
        speed = (f"speed: {self.fps:.1f} FPS over {self.frames} frames; from frame to drawn label "
                 f"median {self.percentile(50):.1f} ms, p95 latency {self.percentile(95):.1f} ms")
        if not self.faces:
            return [speed, f"faces: no face was found in {self.frames} frames"]
        shown = ", ".join(f"track {number}: {' / '.join(f'{label} {n}' for label, n in counts.most_common(3))}"
                          for number, counts in list(self.tracks.items())[:8])
        more = f" and {len(self.tracks) - 8} more" if len(self.tracks) > 8 else ""
        where = f"faces: in {self.frames_with_face} of {self.frames} frames, {len(self.tracks)} tracks"
        return [speed, f"{where} (frames by apparent expression: {shown}{more})"]


class _AtEnd(AtOnce):
    """A file that is written when it is closed."""

    def __init__(self, path: str | Path, classes: tuple[str, ...]) -> None:
        super().__init__(path)
        self.classes = classes

    def close(self) -> None:
        temporary, self._temporary = self._temporary, None
        if temporary is not None:
            with self._stack:
                self._save(temporary)


class TrackTable(_AtEnd):
    """A row for each track: when it was seen (seconds), in how many frames, its labels' shares and mean probabilities.

    Probabilities are the smoothed ones; shares are of its frames, `uncertain` included.
    """

    kind, endings, unit = "tracks", (".csv",), "tracks"

    def __init__(self, path: str | Path, classes: tuple[str, ...]) -> None:
        super().__init__(path, classes)
        self._times: dict[int, tuple[str, float, float]] = {}  # name and time of the first frame, time of the last
        self._labels, self._sums = defaultdict(Counter), defaultdict(float)

    def write(self, result: Result) -> None:
        """Count a result in."""
        name, time = result.frame.name, result.frame.time
        for track in result.tracks:
            self._times[track.id] = *self._times.get(track.id, (name, time))[:2], time
            self._labels[track.id][track.text] += 1
            self._sums[track.id] += track.probabilities.astype(float)
        self.count = len(self._times)

    def _save(self, path: Path) -> None:
        texts = (*self.classes, UNCERTAIN)
        head = ("track", "name", "first", "last", "frames", "label", *(f"share_{text}" for text in texts))
        with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow((*head, *self.classes))
            for number, (name, first, last) in self._times.items():
                labels, frames = self._labels[number], self._labels[number].total()
                numbers = [*(labels[text] / frames for text in texts), *self._sums[number] / frames]
                row = (number, name, round(first, 3), round(last, 3), frames, labels.most_common(1)[0][0])
                table.writerow((*row, *(round(float(value), 4) for value in numbers)))


class Timeline(_AtEnd):
    """The longest tracks' smoothed probabilities over time, as a picture."""

    kind, endings, unit = "plot", (".png", ".svg", ".pdf"), "frames"

    def __init__(self, path: str | Path, classes: tuple[str, ...]) -> None:
        try:
            from fer_utils.figures import timeline
        except ImportError as error:
            raise SinkError(f"plot: needs the package {error.name}, which is not installed") from None
        super().__init__(path, classes)
        self._draw, self._stride = timeline, 1
        self._moments: list[tuple[float, list[Track]]] = []

    def write(self, result: Result) -> None:
        """Remember a result."""
        if self.count % self._stride == 0:
            self._moments.append((result.frame.time, result.tracks))
        self.count += 1
        if len(self._moments) >= 2 * MOMENTS:
            self._moments, self._stride = self._moments[::2], 2 * self._stride

    def _save(self, path: Path) -> None:
        figure = self._draw(self._moments, title="Smoothed probabilities of apparent expressions")
        figure.savefig(path, dpi=200, format=self.ending[1:])
