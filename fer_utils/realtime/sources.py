"""Where frames come from: a camera, a stream, a video file, pictures, arrays. Every source is a context manager.

Captures are read in a thread of their own: a live source hands out the newest frame only, so that the view never lags
behind; a file is read ahead, but no frame is dropped. Frames are uint8 [H, W, 3] in RGB, whatever came in.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer_utils import data
from fer_utils.faces import ImageError, to_uint8

__all__ = ["CaptureLost", "CaptureTimeout", "Frame", "Source", "SourceError", "as_frame", "open_source"]

# OpenCV writes nothing to stderr: what goes wrong is raised or noted here, with its cause. FFmpeg's share of it is read
# once, when the first video is opened by whomever, so it is set on import.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

CLIP = "clip"
PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
ALLOWED = f"a camera's number (0, 1, …), a video, a picture, a folder of pictures, a URL (rtsp://, http://) or {CLIP!r}"
# What a camera is asked for; it may choose another size. A driver's queue of old frames is what makes live views lag.
CAMERA = {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480, cv2.CAP_PROP_BUFFERSIZE: 1}
AHEAD = 8  # frames of a file that are read before they are asked for
POLL = 0.1  # seconds; Windows delivers Ctrl-C only between two waits


class SourceError(ValueError):
    """A source that is not there or cannot be read.

    >>> try: open_source("missing.mp4")
    ... except SourceError as error: print(error)
    """


class CaptureLost(SourceError):
    """A live source stopped delivering and could not be opened again.

    >>> try: run("rtsp://door/1", output="door.mp4")
    ... except CaptureLost: print("the video until then is complete")
    """


class CaptureTimeout(CaptureLost):
    """A live source is open but sends nothing.

    >>> try: run(0, output="desk.mp4")
    ... except CaptureTimeout: print("the camera hangs")
    """


@dataclass(frozen=True)
class Frame:
    """One picture at one time.

    Attributes
    ----------
    image : uint8 [H, W, 3], RGB, 0–255.
    time : seconds since the source's first frame.
    index : 0, 1, 2 …
    name : the file's name (separate pictures), else empty.

    Examples
    --------
    >>> with Pipeline() as pipe:
    ...     result = pipe(Frame(image, time=0.0, index=0))
    """

    image: np.ndarray
    time: float
    index: int
    name: str = ""


def as_frame(image: np.ndarray) -> np.ndarray:
    """Any picture (see `pipeline` for what arrays may be) as uint8 [H, W, 3] RGB; alpha is dropped.

    Raises ImageError for an empty array, another shape or dtype, or values outside the range.
    """
    image = np.asarray(image)
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels not in (1, 3, 4) or not image.size:
        allowed = "[H, W], [H, W, 1], [H, W, 3] or [H, W, 4] and not empty"
        raise ImageError(f"image: must be {allowed}; got {list(image.shape)}")
    image = to_uint8(image).reshape(*image.shape[:2], channels)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)) if channels == 1 else image[:, :, :3])


class Closing(AbstractContextManager):
    """What has a `close()` that leaving the `with` block calls."""

    def __exit__(self, *_: object) -> None:
        self.close()


class Source(Closing):
    """What all sources share. Iterate it for frames; leaving the `with` block (or `close()`) gives the device back.

    Attributes
    ----------
    title : what to call it. `fps` : nominal frames a second.
    live : only the newest frame counts. `still` : frames are separate pictures, not a video.
    path : the video file that is read, None for anything else. `stopped` : whether `stop()` was called.
    notes : what went wrong without ending the work, to be shown to the user.

    Examples
    --------
    >>> with open_source("talk.mp4") as source:
    ...     brightness = [frame.image.mean() for frame in source]
    """

    live = still = False
    fps = 25.0
    path: Path | None = None

    def __init__(self, title: str) -> None:
        self.title, self.stopped = title, False
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Frame]:
        raise NotImplementedError

    def stop(self) -> None:
        """Make a running iteration end soon; may be called from a signal handler or another thread."""
        self.stopped = True

    def close(self) -> None:
        """Give everything back; a second call does nothing."""


class Buffered(Source):
    """Pictures that another thread puts in: handed out in order, or (live) only the newest. A base class."""

    def __init__(self, title: str, *, patience: float = 5.0) -> None:
        super().__init__(title)
        self.number, self._patience, self._taken = 0, patience, 0
        self._reopening = self._ended = False
        self._waiting: deque = deque(maxlen=1 if self.live else AHEAD)
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[Frame]:
        start, last = None, -1.0
        while (item := self._take()) is not None:
            image, seconds, self.number = item
            if self.live:
                start = seconds if start is None else start
                seconds -= start
            elif seconds <= last:  # some containers give no times, or give them out of order
                seconds = max(self._taken / self.fps, last + 1e-3)
            yield Frame(as_frame(image), seconds, self._taken)
            last, self._taken = seconds, self._taken + 1

    def _put(self, image: np.ndarray, seconds: float, number: int = 0) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.live or self.stopped or len(self._waiting) < AHEAD)
            self._waiting.append((image, seconds, number))
            self._changed.notify_all()

    def _take(self) -> tuple[np.ndarray, float, int] | None:
        with self._changed:
            end = time.monotonic() + self._patience
            while not self._changed.wait_for(lambda: self._waiting or self._ended or self.stopped, POLL):
                if self.live and not self._reopening and time.monotonic() > end:
                    raise CaptureTimeout(self._reason(f"sent no frame for {self._patience:g} s"))
            if self.live and not (self._waiting or self.stopped):
                raise CaptureLost(self._reason("stopped delivering frames"))
            self._changed.notify_all()
            return self._waiting.popleft() if self._waiting and not self.stopped else None

    def _reason(self, what: str) -> str:
        return f"source: {self.title} {what} (after {self._taken} frames)"

    def stop(self) -> None:
        with self._changed:
            super().stop()
            self._changed.notify_all()


class Capture(Buffered):
    """What OpenCV opens, read by a thread of its own.

    A file gives every frame in order, at the file's own times, and then just ends. A camera (its number) or a stream
    (its URL) is live: it gives the newest frame, with the time it arrived, and is opened again when it goes away.
    """

    def __init__(self, target: int | str | Path, *, title: str = "", patience: float = 5.0) -> None:
        capture = open_capture(target, patience=patience)
        if capture is None:
            raise SourceError(f"source: {_obstacle(target)}; must be {ALLOWED}")
        fps, self._total = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        # A file on a web server has a length, a stream has none.
        self.live = isinstance(target, int) or (isinstance(target, str) and self._total <= 0)
        super().__init__(title or (f"camera {target}" if isinstance(target, int) else str(target)), patience=patience)
        self.fps = fps if 0 < fps <= (240 if self.live else 1000) else 25.0
        # The embedded clip, which has a title, has no sound to copy.
        self.path = target if isinstance(target, Path) and not title else None
        self._target, self._capture = target, capture
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        if self._thread.ident is None and not self.stopped:
            self._thread.start()
        yield from super().__iter__()
        if not (self.stopped or self._taken):
            raise SourceError(f"source: {self.title} holds no frame that can be read")
        if not self.stopped and self._taken < self._total - max(2, self._total // 100):
            self.notes.append(f"{self.title} breaks off: {self._taken} of {self._total} frames could be read")

    def _run(self) -> None:
        try:
            while not self.stopped:
                if (bgr := self._read()) is not None:
                    position = time.monotonic() if self.live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    self._put(bgr[:, :, ::-1], position)
                elif not (self.live and self._reopen()):
                    break
        finally:
            # Only this thread may release: releasing a capture that another thread is reading crashes OpenCV.
            self._capture.release()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _read(self) -> np.ndarray | None:
        try:
            good, image = self._capture.read()
        except cv2.error:
            return None
        return image if good and image.size else None

    def _reopen(self) -> bool:
        self._capture.release()
        self._reopening, end = True, time.monotonic() + self._patience
        while not self.stopped and time.monotonic() < end:
            if (capture := open_capture(self._target, patience=self._patience)) is not None:
                self._capture, self._reopening = capture, False
                return True
            time.sleep(0.2)
        return False

    def close(self) -> None:
        self.stop()
        if self._thread.ident is None:
            self._capture.release()
        else:
            # A read that hangs in the driver cannot be interrupted: the thread releases the device when it returns.
            self._thread.join(timeout=self._patience)


class Pictures(Source):
    """A picture, or a folder of them in name order: each stands alone, one a second."""

    still, fps = True, 1.0

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix.lower() in PICTURES)
        if not self.files:
            raise SourceError(f"source: the folder {path} holds no picture ({', '.join(PICTURES)})")

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for file in self.files:
            if (image := decode(file.read_bytes())) is not None:
                yield Frame(image, float(index), index, file.name)
                index += 1
            else:
                self.notes.append(f"{file} cannot be read as a picture and was left out")
        if not index:
            raise SourceError(f"source: no picture in {self.title} can be read")


class Arrays(Source):
    """Arrays from the user's own code (see `as_frame`), taken as video."""

    def __init__(self, images: Iterable[np.ndarray], *, fps: float = 25.0) -> None:
        super().__init__("frames")
        self._images, self.fps = images, fps

    def __iter__(self) -> Iterator[Frame]:
        for index, image in enumerate(self._images):
            yield Frame(as_frame(image), index / self.fps, index)


def open_source(source: int | str | Path | Iterable[np.ndarray] | Source, *, patience: float = 5.0) -> Source:
    """The source that a user's word names.

    Parameters
    ----------
    source : a camera's number, a file, a folder, a URL, `"clip"`, arrays as in `pipeline`, or an open Source.
    patience : seconds to wait for a live frame, and to try to open a device again that went away, before giving up.

    Raises
    ------
    SourceError when it is missing or unreadable.

    Examples
    --------
    >>> with open_source("rtsp://door/1", patience=30) as source:
    ...     summary = run(source, output="door.mp4")
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, (int, np.integer)) or (isinstance(source, str) and source.strip().isdecimal()):
        return Capture(int(source), patience=patience)
    if not isinstance(source, (str, Path)):
        return Arrays(source)
    if source == CLIP:
        return Capture(data.clip_path(), title="the embedded clip")
    if "://" in str(source):
        return Capture(str(source), patience=patience)
    path = Path(source).expanduser()
    is_picture = path.is_dir() or (path.is_file() and path.suffix.lower() in PICTURES)
    return Pictures(path) if is_picture else Capture(path)


def open_capture(target: int | str | Path, *, patience: float = 5.0) -> cv2.VideoCapture | None:
    """Open a camera (its number), a URL or a file; None when that fails. `patience`: seconds that a URL may take."""
    if isinstance(target, str):
        limit = int(patience * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        capture = cv2.VideoCapture(target, cv2.CAP_FFMPEG, limits)
    else:
        capture = cv2.VideoCapture(target if isinstance(target, int) else str(target))
    if not capture.isOpened():
        capture.release()
        return None
    for option, value in CAMERA.items() if isinstance(target, int) else ():
        capture.set(option, value)
    return capture


def _obstacle(target: int | str | Path) -> str:
    """Why a capture could not be opened."""
    if isinstance(target, int):
        found = f" (cameras found: {', '.join(map(str, cameras())) or 'none'})" if sys.platform == "linux" else ""
        return f"camera {target} cannot be opened{found}"
    if isinstance(target, str):
        return f"nothing can be read from {target}"
    if not target.is_file():
        return f"there is no file {target}"
    return f"{target} ({target.stat().st_size:,} bytes) is not a video that OpenCV reads, or cut off before its index"


def cameras() -> list[int]:
    """Numbers of the cameras that Linux lists in /dev; elsewhere only opening one tells."""
    names = (path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
    return sorted(int(name) for name in names if name.isdecimal())


def decode(content: bytes | memoryview) -> np.ndarray | None:
    """An encoded picture (JPEG, PNG …) as uint8 [H, W, 3] RGB; None when it is none, or larger than OpenCV accepts."""
    try:
        # imdecode instead of imread: file names outside ASCII work on Windows too.
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if bgr is None else as_frame(bgr[:, :, ::-1])
