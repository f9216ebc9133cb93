"""Where results go: a video, a table (CSV or JSON lines). Both are context managers and survive Ctrl-C.

Nothing is written unless it is named. Tables hold numbers, never pixels.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import LANDMARKS
from fer_utils.realtime.capture import quiet
from fer_utils.realtime.frame import Frame
from fer_utils.realtime.tracker import Track

__all__ = ["COLUMNS", "SinkError", "Table", "VideoSink", "record"]

COLUMNS = (
    "time", "frame", "name", "track", "x", "y", "width", "height", "score",
    *(f"{point}_{axis}" for point in LANDMARKS for axis in "xy"),
    "label", *CLASSES,
)
"""Columns of the CSV: seconds, frame number, picture's name (folders only), track, box and landmarks in frame pixels,
the detector's score, the label shown, and the seven smoothed probabilities."""

CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP90"}
SMALLEST = 16  # pixels; encoders refuse less
RESERVE = 50_000_000  # bytes of the disk that are left free: a full disk would cost the whole video


class SinkError(ValueError):
    """An output that cannot be written."""


def record(frame: Frame, track: Track) -> dict[str, Any]:
    """One face in one frame as plain numbers: the keys of COLUMNS, and `raw` (the frame's own 7 probabilities)."""
    points = np.full((5, 2), np.nan) if track.landmarks is None else np.asarray(track.landmarks)
    values = [round(float(v), 1) for v in track.box] + [round(track.score, 3)]
    values += [None if np.isnan(v) else round(float(v), 1) for v in points.ravel()]
    smoothed = [round(float(p), 4) for p in track.probabilities]
    row = (round(frame.time, 3), frame.index, frame.name, track.id, *values, track.text, *smoothed)
    return dict(zip(COLUMNS, row, strict=True)) | {"raw": [round(float(p), 4) for p in track.raw]}


class _Sink:
    def close(self) -> None:
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Table(_Sink):
    """Rows of `record`, one a line, on disk as soon as they are known: `.csv` (COLUMNS) or `.jsonl` (with `raw`).

    An existing file of that name is replaced. Raises SinkError for another ending or a place that cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if self.path.suffix not in (".csv", ".jsonl"):
            raise SinkError(f"table: the name must end in .csv or .jsonl; got {self.path.name}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "w", encoding="utf-8", newline="", buffering=1)  # noqa: SIM115
        except OSError as error:
            raise SinkError(f"table: cannot write {self.path}: {error.strerror}") from None
        self._csv = csv.writer(self._file, lineterminator="\n") if self.path.suffix == ".csv" else None
        self.rows = 0
        if self._csv:
            self._csv.writerow(COLUMNS)

    def write(self, row: dict[str, Any]) -> None:
        """Append one row."""
        try:
            if self._csv:
                self._csv.writerow(["" if row[column] is None else row[column] for column in COLUMNS])
            else:
                self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:
            raise SinkError(f"table: {self.path} ends after {self.rows} rows: {error.strerror}") from None
        self.rows += 1

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Table:
        return self


class VideoSink(_Sink):
    """A video file, written under a temporary name and moved into place when it is closed, whatever ended the work.

    Parameters
    ----------
    path : `.mp4`, `.mkv`, `.avi` or `.webm`.
    fps : frames a second of the file.
    live : frames come when they come: repeat or skip some, so that the video lasts as long as what it shows.
    reserve : bytes of the disk to leave free.

    Raises
    ------
    SinkError when the ending is unknown, the place cannot be written, the disk is full, or OpenCV cannot encode.
    """

    def __init__(self, path: str | Path, *, fps: float = 25.0, live: bool = False, reserve: int = RESERVE) -> None:
        self.path, self.fps, self.live, self.reserve = Path(path).expanduser(), fps, live, reserve
        if self.path.suffix.lower() not in CODECS:
            raise SinkError(f"output: the name must end in {', '.join(CODECS)}; got {self.path.name}")
        if self.path.is_dir():
            raise SinkError(f"output: {self.path} is a folder")
        quiet()
        self._stack, self._writer = ExitStack(), None
        try:
            self._temporary = self._stack.enter_context(paths.atomic(self.path))
        except OSError as error:
            raise SinkError(f"output: cannot write {self.path}: {error.strerror}") from None
        self.frames, self._size, self._start = 0, (0, 0), None

    def write(self, image: np.ndarray, *, seconds: float = 0.0) -> None:
        """Append a frame: uint8 [H, W, 3] RGB, shown at `seconds` (only live sinks read it).

        The first frame sets the size; others are fitted into it with black borders.
        """
        if self._writer is None:
            self._open(image)
        if self.frames % 25 == 0 and shutil.disk_usage(self.path.parent).free < self.reserve:
            raise SinkError(f"output: the disk of {self.path} is full; the video ends after {self.frames} frames")
        self._start = seconds if self._start is None else self._start
        due = round((seconds - self._start) * self.fps) + 1 if self.live else self.frames + 1
        bgr = _fit(image, self._size)[:, :, ::-1]
        for _ in range(due - self.frames):
            self._writer.write(bgr)
            self.frames += 1

    def close(self) -> None:
        """Finish the file and move it into place; without a frame nothing is left. A second call does nothing."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.release()
            self._stack.close()
        elif not self.frames:
            self._stack.pop_all()
            self._temporary.unlink(missing_ok=True)

    def _open(self, image: np.ndarray) -> None:
        height, width = (max(SMALLEST, side + side % 2) for side in image.shape[:2])
        code = cv2.VideoWriter_fourcc(*CODECS[self.path.suffix.lower()])
        writer = cv2.VideoWriter(os.fspath(self._temporary), cv2.CAP_FFMPEG, code, self.fps, (width, height))
        if not writer.isOpened():
            raise SinkError(f"output: this OpenCV cannot encode {self.path.name} ({width} × {height}, {self.fps:g}/s)")
        self._writer, self._size = writer, (width, height)

    def __enter__(self) -> VideoSink:
        return self


def _fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture in a frame of `size` (width, height): as it is, or reduced/enlarged and centred on black."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    scale = min(size[0] / width, size[1] / height)
    # A row or a column that only evens the size out is no reason to resample.
    scale = 1.0 if 0 <= size[0] - width <= 1 and 0 <= size[1] - height <= 1 else scale
    inner = (max(1, min(size[0], round(width * scale))), max(1, min(size[1], round(height * scale))))
    shrunk = image if scale == 1.0 else cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else 1)
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = shrunk
    return canvas
