"""What became of each face: a table with a row for each track, and the longest tracks as a picture over time."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.sinks import AtOnce, SinkError
from fer_utils.realtime.tracker import UNCERTAIN, Track

MOMENTS = 10_000  # frames that are drawn, at least; of a longer run every second one, every fourth …


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
