"""Where results go: a video, a table (CSV or JSON lines), a window. All are context managers and survive Ctrl-C."""

import csv
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from fer_utils import paths
from fer_utils.data import CLASSES
from fer_utils.faces import LANDMARKS, Closing
from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.captures import add_sound
from fer_utils.realtime.sources import Frame, Source
from fer_utils.realtime.tracker import Track

# Time in seconds, box and landmarks in the file's pixels, the label shown; what a row is: a face, a picture with no
# face, or a file left out. Before that stand the classes' smoothed probabilities.
COLUMNS = (
    "time", "frame", "name", "track", "x", "y", "width", "height", "score",
    *(f"{point}_{axis}" for point in LANDMARKS for axis in "xy"), "label", "status",
)
# Encoder, its options (as quick as a live view needs), options of the container.
H264 = "libx264", {"preset": "ultrafast", "crf": "23"}
VP9 = "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "32", "b": "0"}
MP4 = *H264, {"movflags": "faststart"}  # a browser shows it before it has all of it
CODECS = {".mp4": MP4, ".mov": MP4, ".mkv": (*H264, {}), ".webm": (*VP9, {})}
CLOCK = Fraction(1, 90_000)  # seconds a tick
SMALLEST = 16  # pixels; encoders refuse less
RESERVE = 50_000_000  # bytes of the disk that are left free: a full disk would cost the whole video
QUIT_KEYS, QUIT = (ord("q"), ord("Q"), 27), 10  # the window's process ends with this exit code


class SinkError(ValueError):
    """An output that cannot be written."""


class Output(Closing):
    """A file to write, its name checked; `kind` begins its errors, and `count` of its `unit` have been written."""

    kind, endings, unit = "output", (), ""

    def __init__(self, path: str | Path) -> None:
        self.path, self.count = Path(path).expanduser(), 0
        self.ending = self.path.suffix.lower()
        if self.ending not in self.endings:
            raise SinkError(f"{self.kind}: the name must end in {', '.join(self.endings)}; got {self.path.name}")

    def __str__(self) -> str:
        return f"{self.path} ({self.count} {self.unit})"

    def cannot(self, error: Exception) -> SinkError:
        """The error to raise where the file cannot be written."""
        return SinkError(f"{self.kind}: cannot write {self.path}: {getattr(error, 'strerror', None) or error}")


class Table(Output):
    """Faces as numbers, one a line, on disk as soon as they are known: `.csv` or `.jsonl` (with `raw`)."""

    kind, endings, unit = "table", (".csv", ".jsonl"), "rows"

    def __init__(self, path: str | Path, classes: tuple[str, ...] = CLASSES) -> None:
        super().__init__(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A name's bytes that are no UTF-8 (surrogates) are written as \\udce9, which JSON reads back.
            self._file = open(self.path, "a", 1, "utf-8", "backslashreplace", "")  # noqa: SIM115
            _lock(self._file)
            self._file.truncate(0)
        except OSError as error:
            raise self.cannot(error) from None
        if self.ending == ".csv":
            columns = (*COLUMNS[:-1], *classes, COLUMNS[-1])
            table = csv.DictWriter(self._file, columns, extrasaction="ignore", lineterminator="\n")
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
                self.count += 1
        except OSError as error:
            raise SinkError(f"table: {self.path} ends after {self.count} rows: {error.strerror}") from None

    def close(self) -> None:
        self._file.close()


def record(frame: Frame, track: Track) -> dict[str, object]:
    """One face in one frame as plain numbers: a Table's columns, and `raw` (the frame's own probabilities)."""
    box = [round(value * frame.scale, 1) for value in track.box]
    points = [round(float(value) * frame.scale, 1) for value in track.landmarks.ravel()]
    smoothed, raw = ([round(float(p), 4) for p in row] for row in (track.probabilities, track.raw))
    head = (round(frame.time, 3), frame.index, frame.name, track.id, *box, round(track.score, 3))
    row = dict(zip(COLUMNS[:-1], (*head, *points, track.text), strict=True))
    return row | dict(zip(track.classes, smoothed, strict=True)) | {"status": "face", "raw": raw}


def _lock(file: IO) -> None:
    """Keep other runs from writing the file until it is closed, where the system can."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(0, "another run is writing it") from None
    except (ImportError, OSError):  # Windows; some network drives
        pass


class AtOnce(Output):
    """An output that is moved into place when it is closed, whatever ended the work."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        if self.path.is_dir():
            raise SinkError(f"{self.kind}: {self.path} is a folder")
        self._stack = ExitStack()
        try:
            self._temporary = self._stack.enter_context(paths.atomic(self.path))
            self._temporary.touch()
        except OSError as error:
            raise self.cannot(error) from None


class VideoSink(AtOnce):
    """A video file: H.264, or VP9 in WebM.

    `fps` tells how long the last frame is shown. `sound_of` : the source whose sound is copied; where that fails, it is
    left out, with a note in the source's `notes`.
    """

    endings, unit = CODECS, "frames"

    def __init__(self, path: str | Path, *, fps: float = 25.0, sound_of: Source | None = None) -> None:
        super().__init__(path)
        self.fps, self._source = fps, sound_of or Source("")
        self._container = self._sound = self._packet = None

    def write(self, image: np.ndarray, *, seconds: float | None = None) -> None:
        """Append a frame (uint8 [H, W, 3] RGB), fitted into the size of the first, shown from `seconds` on."""
        import av

        if self.count % 25 == 0 and shutil.disk_usage(self.path.parent).free < RESERVE:
            raise SinkError(f"output: the disk of {self.path} is full; the video ends after {self.count} frames")
        seconds = self.count / self.fps if seconds is None else seconds
        if self._container is None:
            self._open(image, seconds)
        self._shown = max(seconds - self._start, self._shown + 1e-3)
        # OpenCV's conversion takes half the time of FFmpeg's.
        frame = av.VideoFrame.from_ndarray(cv2.cvtColor(_fit(image, self._size), cv2.COLOR_RGB2YUV_I420), "yuv420p")
        frame.time_base, frame.pts = CLOCK, round(self._shown / CLOCK)
        self._mux(frame, until=self._shown)
        self.count += 1

    def close(self) -> None:
        """Finish the file and move it into place; without a frame nothing is left."""
        frames, self.count = self.count, 0  # until they can be read
        if not frames:
            self._temporary.unlink(missing_ok=True)
        elif self._container is not None:
            with self._stack:
                self._mux(None, until=self._shown + 1 / self.fps)
        self.count, self._container, self._sound = frames, None, iter(())

    def _open(self, image: np.ndarray, seconds: float) -> None:
        import av

        self._size = width, height = tuple(max(SMALLEST, side + side % 2) for side in image.shape[1::-1])
        self._start, self._shown = seconds, -1.0
        codec, options, muxer = CODECS[self.ending]
        self._container = av.open(str(self._temporary.absolute()), "w", container_options=muxer)
        rate = Fraction(self.fps).limit_denominator(1001)
        self._stream = self._container.add_stream(codec, rate, options, width=width, height=height, pix_fmt="yuv420p")
        context = self._stream.codec_context
        context.time_base = CLOCK
        # As OpenCV converts: BT.601's matrix, limited range. Untagged, players guess.
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 6, 1, 1, 1
        self._add_sound(0.0)

    def _mux(self, frame: Any, *, until: float) -> None:
        """Add a frame, or the end, and the sound before second `until` of the video."""
        import av

        try:
            self._container.mux(self._stream.encode(frame))
            self._add_sound(until)
            if frame is None:
                self._container.close()
        except av.FFmpegError as error:
            raise self.cannot(error) from None

    def _add_sound(self, until: float) -> None:
        import av

        try:
            if self._sound is None:
                self._sound = add_sound(self._source, self._container, self.ending, self._source.start + self._start)
            while packet := self._packet or next(self._sound, None):
                self._packet = packet
                if packet.pts * packet.time_base >= until:
                    return
                self._packet = None
                self._container.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            self._sound, where = iter(()), f" from {until:.1f} s on" if until else ""
            self._source.notes.append(f"the video has no sound{where}: {str(error).partition(';')[0]}")


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
