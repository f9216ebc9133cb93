"""Where results go: a video, a table (CSV or JSON lines), a window. All are context managers and survive Ctrl-C."""

import csv
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import LANDMARKS
from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.sources import Closing, Frame
from fer_utils.realtime.tracker import Track

# Time in seconds, box and landmarks in the file's pixels, the label shown, smoothed probabilities; what a row is: a
# face, a picture with no face, or a file left out.
COLUMNS = (
    "time", "frame", "name", "track", "x", "y", "width", "height", "score",
    *(f"{point}_{axis}" for point in LANDMARKS for axis in "xy"), "label", *CLASSES, "status",
)
CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP90"}
SMALLEST = 16  # pixels; encoders refuse less
RESERVE = 50_000_000  # bytes of the disk that are left free: a full disk would cost the whole video
QUIT_KEYS, QUIT = (ord("q"), ord("Q"), 27), 10  # the window's process ends with this exit code


class SinkError(ValueError):
    """An output that cannot be written."""


class Table(Closing):
    """Faces as numbers, one a line, on disk as soon as they are known: `.csv` (COLUMNS) or `.jsonl` (with `raw`)."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.rows = Path(path).expanduser(), 0
        if (suffix := self.path.suffix.lower()) not in (".csv", ".jsonl"):
            raise SinkError(f"table: the name must end in .csv or .jsonl; got {self.path.name}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A name's bytes that are no UTF-8 (surrogates) are written as \\udce9, which JSON reads back.
            self._file = open(self.path, "a", 1, "utf-8", "backslashreplace", "")  # noqa: SIM115
            _lock(self._file)
            self._file.truncate(0)
        except OSError as error:
            raise SinkError(f"table: cannot write {self.path}: {error.strerror}") from None
        if suffix == ".csv":
            table = csv.DictWriter(self._file, COLUMNS, extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            self._append = table.writerow
        else:
            self._append = lambda row: self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def write(self, result: Result, *, still: bool = False) -> None:
        """Append a row for each face of a result; of a `still` picture also when it has none."""
        frame, rows = result.frame, [record(result.frame, track) for track in result.tracks]
        if still and not rows:
            rows = [{"time": frame.time, "frame": frame.index, "name": frame.name, "status": "no face"}]
        self._write(rows)

    def write_left_out(self, reasons: Mapping[str, str]) -> None:
        """Append a row for each file (its name) that was left out."""
        self._write([{"name": name, "status": f"left out: {reason}"} for name, reason in reasons.items()])

    def _write(self, rows: Iterable[dict[str, object]]) -> None:
        try:
            for row in rows:
                self._append(row)
                self.rows += 1
        except OSError as error:
            raise SinkError(f"table: {self.path} ends after {self.rows} rows: {error.strerror}") from None

    def __str__(self) -> str:
        return f"{self.path} ({self.rows} rows)"

    def close(self) -> None:
        self._file.close()


def record(frame: Frame, track: Track) -> dict[str, object]:
    """One face in one frame as plain numbers: the keys of COLUMNS, and `raw` (the frame's own 7 probabilities)."""
    box = [round(value * frame.scale, 1) for value in track.box]
    points = [round(float(value) * frame.scale, 1) for value in track.landmarks.ravel()]
    smoothed, raw = ([round(float(p), 4) for p in row] for row in (track.probabilities, track.raw))
    head = (round(frame.time, 3), frame.index, frame.name, track.id, *box, round(track.score, 3))
    return dict(zip(COLUMNS, (*head, *points, track.text, *smoothed, "face"), strict=True)) | {"raw": raw}


def _lock(file: IO) -> None:
    """Keep other runs from writing the file until it is closed, where the system can."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(0, "another run is writing it") from None
    except (ImportError, OSError):  # Windows; some network drives
        pass


class VideoSink(Closing):
    """A video file, moved into place when closed, whatever ended the work; a `live` one repeats or skips frames."""

    def __init__(self, path: str | Path, *, fps: float = 25.0, live: bool = False) -> None:
        self.path, self.fps, self.live = Path(path).expanduser(), fps, live
        self.frames, self._writer = 0, None
        if self.path.suffix.lower() not in CODECS:
            raise SinkError(f"output: the name must end in {', '.join(CODECS)}; got {self.path.name}")
        if self.path.is_dir():
            raise SinkError(f"output: {self.path} is a folder")
        self._stack = ExitStack()
        try:
            self._temporary = self._stack.enter_context(paths.atomic(self.path))
        except OSError as error:
            raise SinkError(f"output: cannot write {self.path}: {error.strerror}") from None

    def write(self, image: np.ndarray, *, seconds: float = 0.0) -> None:
        """Append a frame (uint8 [H, W, 3] RGB), fitted into the size of the first; `seconds`: when it was live."""
        if self._writer is None:
            self._writer, self._start = self._open(image), seconds
        if self.frames % 25 == 0 and shutil.disk_usage(self.path.parent).free < RESERVE:
            raise SinkError(f"output: the disk of {self.path} is full; the video ends after {self.frames} frames")
        due = round((seconds - self._start) * self.fps) + 1 if self.live else self.frames + 1
        bgr = _fit(image, self._size)[:, :, ::-1]
        for _ in range(due - self.frames):
            self._writer.write(bgr)
            self.frames += 1

    def close(self) -> None:
        """Finish the file and move it into place; without a frame nothing is left."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.release()
            self._stack.close()
        elif not self.frames:
            self._temporary.unlink(missing_ok=True)

    def __str__(self) -> str:
        return f"{self.path} ({self.frames} frames)"

    def _open(self, image: np.ndarray) -> cv2.VideoWriter:
        height, width = (max(SMALLEST, side + side % 2) for side in image.shape[:2])
        self._size = width, height
        code = cv2.VideoWriter_fourcc(*CODECS[self.path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._temporary), cv2.CAP_FFMPEG, code, self.fps, self._size)
        if not writer.isOpened():
            raise SinkError(f"output: this OpenCV cannot encode {self.path.name} ({width} × {height}, {self.fps:g}/s)")
        return writer


def _fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture in a frame of `size` (width, height): as it is, or reduced/enlarged and centred on black."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    # A row or a column that only evens the size out is no reason to resample.
    if not (0 <= size[0] - width <= 1 and 0 <= size[1] - height <= 1):
        scale = min(size[0] / width, size[1] / height)
        width, height = (max(1, round(side * scale)) for side in (width, height))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    borders = top, size[1] - height - top, left, size[0] - width - left
    return cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT)


def copy_sound(source: str | Path, video: str | Path) -> str | None:
    """Give `video`, a silent copy of `source` that may end earlier, its sound; a sentence when that goes wrong."""
    silent, program = f"{Path(video).name} has no sound: ffmpeg", shutil.which("ffmpeg")
    if program is None:
        return f"{silent}, which could copy it, is not installed"
    command = [program, "-v", "error", "-nostdin", "-y", "-i", str(video), "-i", str(source)]
    command += ["-map", "0:v:0", "-map", "1:a?", "-c:v", "copy", "-shortest"]
    for codec in (["-c:a", "copy"], []):  # sound that the container cannot hold is encoded again
        try:
            with paths.atomic(video) as temporary:
                subprocess.run([*command, *codec, temporary], check=True, capture_output=True, text=True)
            return None
        except (subprocess.CalledProcessError, OSError) as error:
            reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
    return f"{silent} could not copy it ({reason})"


class Window(Closing):
    """Shows frames until `q`, Esc or the closed window; in its own process, for Qt ends that when the display goes."""

    def __init__(self, title: str) -> None:
        # -P: the user's folder must not hide the standard library's modules.
        code = f"import sys; sys.path.insert(0, {str(paths.ROOT)!r}); from {__name__} import serve; serve({title!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,  # Ctrl-C is for us, who then close the window
        )

    def show(self, image: np.ndarray) -> bool:
        """Show uint8 [H, W, 3] RGB; False when the window is gone or the user has closed it."""
        try:
            pickle.dump(image, self._process.stdin)
            self._process.stdin.flush()
        except OSError:
            self._process.wait()
        return self._process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether the window is gone, though the user did not close it: there is no display (any more)."""
        return self._process.poll() not in (None, 0, QUIT)

    def close(self) -> None:
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(timeout=2)
        self._process.kill()
        self._process.wait()


def serve(title: str) -> None:
    """The window's process: shows the frames of stdin; ends with `QUIT` when the user wants to."""
    shown = False
    with suppress(EOFError):
        while True:
            cv2.imshow(title, pickle.load(sys.stdin.buffer)[:, :, ::-1])
            if cv2.waitKey(1) & 0xFF in QUIT_KEYS or (shown and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1):
                sys.exit(QUIT)
            shown = True
