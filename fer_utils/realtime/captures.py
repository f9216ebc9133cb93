"""Cameras, streams and video files, each read in a thread of its own; all but cameras by PyAV (FFmpeg's libraries).

A live source hands out the newest frame only, so that the view never lags behind, and is opened again when it goes
away. A file is read ahead, but no frame is dropped: each has its own time, is upright and in square pixels.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_utils.faces import Closing
from fer_utils.realtime.sources import ALLOWED, Buffered, Frame, Source, SourceError

# OpenCV writes nothing to stderr: what goes wrong is raised or noted, with its cause.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# What a camera is asked for; it may choose another size. A driver's queue of old frames is what makes live views lag.
OPTIONS = {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480, cv2.CAP_PROP_BUFFERSIZE: 1}
FILES = ("file", "ftp", "http", "https", "sftp")  # protocols behind which a file may lie; others are live
PICTURES, HEIF = ("gif", "image2"), ("avif", "heic", "heix", "mif1")  # formats and brands of pictures; also *_pipe
MEASURED = ("flv", "matroska", "mov")  # formats whose header says how many seconds there should be
# Sound that is copied, by the end of the video's name: what browsers and phones play in it. Others hold anything.
COPIED = {".mp4": ("aac", "mp3"), ".mov": ("aac", "mp3"), ".webm": ("opus", "vorbis")}
RATE = 48_000  # samples a second of sound that is encoded again
FASTEST = 1000  # frames a second; what is higher is a clock's rate


class Capture(Buffered):
    """A file (a Path), whose frames come at its own times; a camera (its number or device node); a stream (its URL)."""

    def __init__(self, target: int | str | Path, *, title: str = "", patience: float) -> None:
        node = target.resolve().name if isinstance(target, Path) and target.is_char_device() else ""
        target = int(number) if (number := node.removeprefix("video")).isdecimal() else target
        self._target, self._reader = target, _reader(target, patience)
        name = f"camera {target}" if isinstance(target, int) else str(target)
        super().__init__(title or name, live=self._reader.live, patience=patience)
        self.fps, self.total = self._reader.fps, self._reader.total
        # The embedded clip, which has a title, has no sound to copy.
        self.path = None if self.live or title else target
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        yield from super().__iter__()
        if not (self.stopped or self._taken):
            raise SourceError(f"source: {self.title} holds no frame that can be read")
        if not self.stopped and (problem := self._reader.problem()):
            self.notes.append(f"{self.title} {problem}")

    def _run(self) -> None:
        try:
            while not self.stopped:
                if item := self._reader.read():
                    self.start = self._reader.start
                    self.put(item[0], time.monotonic() if self.live else item[1])
                elif not (self.live and self._reopen()):
                    break
        finally:
            # Only this thread may close: closing a capture that another thread is reading crashes.
            self._reader.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _reopen(self) -> bool:
        self._reader.close()
        self._reopening, end = True, time.monotonic() + self._patience
        while not self.stopped and time.monotonic() < end:
            with suppress(SourceError):
                self._reader, self._reopening = _reader(self._target, self._patience), False
                return True
            time.sleep(0.2)
        return False

    def close(self) -> None:
        self.stop()
        # A read that hangs in the driver cannot be interrupted: the thread releases the device when it returns.
        self._thread.join(timeout=self._patience)


class Camera(Closing):
    """A camera by its number, read by OpenCV."""

    live, fps, total, start = True, 25.0, None, 0.0

    def __init__(self, number: int) -> None:
        if number < 0:  # OpenCV crashes
            raise SourceError(f"source: a camera's number must be 0 or more; got {number}")
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            there = ", ".join(sorted(path.name for path in Path("/dev").glob("video*")))
            found = there and f" (in /dev: {there})"
            raise SourceError(f"source: camera {number} cannot be opened{found}; must be {ALLOWED}")
        for option, value in OPTIONS.items():
            self._capture.set(option, value)
        if 0 < (fps := self._capture.get(cv2.CAP_PROP_FPS)) <= 240:
            self.fps = fps

    def read(self) -> tuple[np.ndarray, float] | None:
        """The next frame (uint8 [H, W, 3], RGB, 0–255) and when it came; None when there is none."""
        with suppress(cv2.error):
            good, bgr = self._capture.read()
            if good:
                return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), time.monotonic()
        return None

    def close(self) -> None:
        self._capture.release()


class IsPicture(SourceError):
    """An address that holds a picture, not a video; its argument: the encoded picture."""


class Video(Closing):
    """A video file (a Path), or what is behind an address, which has `patience` seconds to answer.

    SourceError, with the cause, when it holds no video. `live`: whether it has no end of its own. `fps`: mean frames a
    second, or a guess. `total`: frames, or None. `start`: the first frame's seconds on the file's own clock.
    """

    def __init__(self, target: str | Path, patience: float) -> None:
        self._container = container = open_container(target, patience)
        self._stream, self._format = container.streams.best("video"), container.format.name
        self._check(target)
        self.live = isinstance(target, str) and self._is_live(target)
        # Threads that take a frame each are quicker, but hold frames back.
        self._stream.thread_type = "SLICE" if self.live else "AUTO"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate and rate <= FASTEST else 25.0
        # Kept: what a stream says once its container is closed is anything.
        self._counted, length = self._stream.frames, (container.duration or 0) / 1e6
        self.total = self._counted or round(length * self.fps) or None
        self._length = length if self._format.startswith(MEASURED) else 0.0
        # Matroska and FLV count their duration from zero, MP4 from the first frame.
        self._begin = (container.start_time or 0) / 1e6 if self._format.startswith("mov") else 0.0
        shape = float(self._stream.sample_aspect_ratio or 1)
        self._stretch = shape if 0.1 < shape < 10 else 1.0
        self.start, self._last, self._reached = 0.0, -1.0, 0.0
        self._sent = self._taken = self._steady = 0
        self._failed = self._broke = False
        self._frames = self._timed()

    def _check(self, target: str | Path) -> None:
        from av.stream import Disposition

        stream, name = self._stream, self._format
        is_picture = name in PICTURES or name.endswith("_pipe") or self._container.metadata.get("major_brand") in HEIF
        if isinstance(target, str) and is_picture:
            raise IsPicture(bytes(next(self._container.demux(stream))))
        if stream is None or stream.codec_context is None or stream.disposition & Disposition.attached_pic:
            raise SourceError(f"source: {target} holds no video that can be decoded; must be {ALLOWED}")

    def _is_live(self, address: str) -> bool:
        is_stream = self._format in ("dash", "hls") or ("jpeg" in self._format and self._container.size <= 0)
        return (is_stream and self._container.duration is None) or address.partition("://")[0].lower() not in FILES

    def read(self) -> tuple[np.ndarray, float] | None:
        """The next frame (uint8 [H, W, 3], RGB, 0–255) and its seconds since the first one; None at the end."""
        return next(self._frames, None)

    def close(self) -> None:
        self._frames.close()
        self._container.close()

    def problem(self) -> str | None:
        """What is missing, when all has been read."""
        done, length, counted = self._reached - self._begin, self._length, self._counted
        if self._broke or done < length - max(2 / self.fps, length / 100):
            return f"breaks off after {self._taken} frames and {done:.1f}{f' of {length:.1f}' * bool(length)} s"
        expected = self._sent * self._failed
        if self._format == "avi" and counted > self._taken + 2:  # the count may include what a codec held back
            expected = counted
        # Where decoder and container pass over what is damaged without a word, a constant rate shows it.
        if not counted and self._steady >= 0.9 * (self._taken - 1) > 0:
            expected = max(expected, round(self._last * self.fps) + 1)
        missing = expected - self._taken
        return f"lacks {missing} frames, which are missing or could not be decoded" if missing > 0 else None

    def _timed(self) -> Iterator[tuple[np.ndarray, float]]:
        for frame in self._decoded():
            moment = None if frame.pts is None else float(frame.pts * self._stream.time_base)
            if not self._taken:
                self.start = moment or 0.0
            seconds = -1.0 if moment is None else moment - self.start
            if seconds <= self._last:  # no clock, or one that was started again
                seconds = max(self._taken / self.fps, self._last + 1e-3)
            self._steady += abs(seconds - self._last - 1 / self.fps) <= 1.5 * self._stream.time_base
            self._last, self._taken = seconds, self._taken + 1
            yield self._rgb(frame), seconds

    def _decoded(self) -> Iterator:
        import av

        try:
            for packet in self._container.demux():
                if (time := packet.dts if packet.pts is None else packet.pts) is not None:
                    self._reached = max(self._reached, float((time + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index == self._stream.index:
                    self._sent += packet.size > 0 and not packet.is_discard
                    # A damaged packet costs its own frames only. One that is cut off might cost those of all threads.
                    self._failed |= packet.is_corrupt
                    try:
                        yield from packet.decode() if self.live or not packet.is_corrupt else ()
                    except av.FFmpegError:
                        self._failed = True
        except av.FFmpegError:  # a connection that breaks, or hangs
            self._broke = True
            with suppress(av.FFmpegError):
                yield from self._stream.codec_context.decode(None)

    def _rgb(self, frame: Any) -> np.ndarray:
        width = max(1, round(frame.width * self._stretch))
        # In one thread: dividing the conversion costs more than it gains.
        image = frame.to_ndarray(format="rgb24", width=width, height=frame.height, threads=1)
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def add_sound(source: Source, video: Any, suffix: str, start: float) -> Iterator:
    """Add a stream for a source's sound to `video` (an av.container.OutputContainer); yields packets for it.

    Second `start` of the source's clock is zero there. av.FFmpegError or ValueError when it fails.
    """
    if source.path is None or (stream := open_container(source.path, 5.0).streams.best("audio")) is None:
        return iter(())
    codec = stream.codec_context.codec.canonical_name
    if codec in COPIED.get(suffix, (codec,)):
        return _copied(stream, video.add_stream_from_template(stream), start)
    layout = "mono" if stream.codec_context.channels == 1 else "stereo"
    codec = "libopus" if suffix == ".webm" else "aac"
    return _encoded(stream, video.add_stream(codec, RATE, layout=layout), start)


def _copied(stream: Any, target: Any, start: float) -> Iterator:
    last = -1  # what begins before the video is left out
    for packet in stream.container.demux(stream):
        if packet.dts is not None:
            packet.dts -= round(start / packet.time_base)
            packet.pts, packet.stream = packet.dts, target
            if packet.dts > last:
                last = packet.dts
                yield packet


def _encoded(stream: Any, target: Any, start: float) -> Iterator:
    import av

    encoder = target.codec_context
    # async: silence where the source has a gap, for encoders count samples and not time.
    resampler = av.AudioResampler(encoder.format, encoder.layout, RATE, encoder.frame_size, {"async": "1"})
    for packet in stream.container.demux(stream):
        with suppress(av.InvalidDataError):  # damaged
            for frame in packet.decode():
                frame.pts -= round(start / frame.time_base)
                if frame.pts >= 0:
                    for piece in resampler.resample(frame):
                        yield from target.encode(piece)
    yield from target.encode(None)


def open_container(target: str | Path, patience: float) -> Any:
    """Open a file or an address as an av.container.InputContainer; SourceError with the cause."""
    import av  # takes a tenth of a second

    # A colon in a relative name would end a protocol's.
    name, timeout = (str(target.absolute()), None) if isinstance(target, Path) else (target, patience)
    try:
        return av.open(name, timeout=timeout, metadata_errors="replace", container_options={"rtsp_transport": "tcp"})
    except av.InvalidDataError:
        problem = f"{target} is not a video that can be read, or cut off before its index"
    except av.FFmpegError as error:
        problem = f"nothing can be read from {target} ({error.strerror})"
    raise SourceError(f"source: {problem}; must be {ALLOWED}")


def _reader(target: int | str | Path, patience: float) -> Camera | Video:
    return Camera(target) if isinstance(target, int) else Video(target, patience)
