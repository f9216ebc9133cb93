"""Where frames come from: a camera, a stream, a video file, pictures, arrays. Every source is a context manager.

Captures are read in a thread of their own: a live source hands out the newest frame only, so that the view never lags
behind, and is opened again when it goes away; a file is read ahead, but no frame is dropped.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer_utils.faces import ImageError
from fer_utils.faces.preprocess import to_uint8

# OpenCV writes nothing to stderr: what goes wrong is raised or noted here, with its cause. FFmpeg's share of it is read
# once, when the first video is opened by whomever, so it is set on import.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

CLIP = "clip"
ALLOWED = f"a camera's number (0, 1, …), a video, a picture, a folder of pictures, a URL (rtsp://, http://) or {CLIP!r}"
# What a camera is asked for; it may choose another size. A driver's queue of old frames is what makes live views lag.
CAMERA = {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480, cv2.CAP_PROP_BUFFERSIZE: 1}
AHEAD = 8  # frames of a file that are read before they are asked for
POLL = 0.1  # seconds; Windows delivers Ctrl-C only between two waits


class SourceError(ValueError):
    """A source that is not there or cannot be read; the message says which, and what is allowed."""


class CaptureLost(SourceError):
    """A live source stopped delivering, or hangs, and could not be opened again."""


@dataclass(frozen=True)
class Frame:
    """One picture at one time.

    Attributes
    ----------
    image : uint8 [H, W, 3], RGB, 0–255.
    time : seconds since the source's first frame. `index` : 0, 1, 2 …
    name : the file's name (separate pictures, and one of several sources), else empty.
    scale : pixels of the file for one of `image`, which may be a reduced picture.

    Examples
    --------
    >>> with Pipeline() as pipe:
    ...     result = pipe(Frame(image, time=0.0, index=0))
    """

    image: np.ndarray
    time: float
    index: int
    name: str = ""
    scale: float = 1.0


def as_frame(image: np.ndarray) -> np.ndarray:
    """Any picture (see `pipeline`) as uint8 [H, W, 3] RGB; alpha is dropped. ImageError for what is none."""
    image = np.asarray(image)
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels not in (1, 3, 4) or not image.size:
        raise ImageError(f"image: must be [H, W] or [H, W, 1, 3 or 4] and not empty; got {list(image.shape)}")
    image = to_uint8(image).reshape(*image.shape[:2], channels)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)) if channels == 1 else image[:, :, :3])


class Closing(AbstractContextManager):
    """What has a `close()` that leaving the `with` block calls; a second call does nothing."""

    def __exit__(self, *_: object) -> None:
        self.close()


class Source(Closing):
    """Iterate it for frames; `notes` say what went wrong meanwhile, `left_out` why a file was not read."""

    live = still = stopped = False  # live: only the newest frame counts; still: separate pictures, not a video
    fps, path, total = 25.0, None, None  # path: of the video file that is read; total: about so many frames

    def __init__(self, title: str, frames: Iterable[Frame] = ()) -> None:
        self.title, self._frames = title, frames
        self.notes: list[str] = []
        self.left_out: dict[str, str] = {}

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def stop(self) -> None:
        """Make a running iteration end soon; may be called from a signal handler or another thread."""
        self.stopped = True

    def close(self) -> None:
        """Give the device back."""


class Buffered(Source):
    """Pictures that another thread puts in; `patience`: seconds without one until a live source raises CaptureLost."""

    def __init__(self, title: str, *, live: bool, patience: float) -> None:
        super().__init__(title)
        self.live, self.number, self._patience, self._taken = live, 0, patience, 0
        self._reopening = self._ended = False
        self._waiting: deque = deque(maxlen=1 if live else AHEAD)
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

    def put(self, image: np.ndarray, seconds: float, number: int = 0) -> None:
        """Offer a picture of the time `seconds`: it waits for its turn, or (live) replaces one that still waits."""
        with self._changed:
            self._changed.wait_for(lambda: self.live or self.stopped or len(self._waiting) < AHEAD)
            self._waiting.append((image, seconds, number))
            self._changed.notify_all()

    def _take(self) -> tuple[np.ndarray, float, int] | None:
        count = f"(after {self._taken} frames)"
        with self._changed:
            end = time.monotonic() + self._patience
            while not self._changed.wait_for(lambda: self._waiting or self._ended or self.stopped, POLL):
                if self.live and not self._reopening and time.monotonic() > end:
                    raise CaptureLost(f"source: {self.title} sent no frame for {self._patience:g} s {count}")
            if self.live and not (self._waiting or self.stopped):
                raise CaptureLost(f"source: {self.title} stopped delivering frames {count}")
            self._changed.notify_all()
            return self._waiting.popleft() if self._waiting and not self.stopped else None

    def stop(self) -> None:
        with self._changed:
            super().stop()
            self._changed.notify_all()


class Capture(Buffered):
    """A file (a Path), whose frames come at its own times; a live camera (its number) or stream (its URL)."""

    def __init__(self, target: int | str | Path, *, title: str = "", patience: float) -> None:
        self._target, self._capture = target, open_capture(target, patience)
        fps, self._total = self._capture.get(cv2.CAP_PROP_FPS), int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        # A file on a web server has a length, a stream has none.
        live = isinstance(target, int) or (isinstance(target, str) and self._total <= 0)
        name = f"camera {target}" if isinstance(target, int) else str(target)
        super().__init__(title or name, live=live, patience=patience)
        self.total = self._total if self._total > 0 else None
        self.fps = fps if 0 < fps <= (240 if live else 1000) else 25.0
        # The embedded clip, which has a title, has no sound to copy.
        self.path = target if isinstance(target, Path) and not title else None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        yield from super().__iter__()
        if not (self.stopped or self._taken):
            raise SourceError(f"source: {self.title} holds no frame that can be read")
        if not self.stopped and self._taken < self._total - max(2, self._total // 100):
            self.notes.append(f"{self.title} breaks off: {self._taken} of {self._total} frames could be read")

    def _run(self) -> None:
        try:
            while not self.stopped:
                good = False
                with suppress(cv2.error):
                    good, bgr = self._capture.read()
                if good:
                    position = time.monotonic() if self.live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    self.put(bgr[:, :, ::-1], position)
                elif not (self.live and self._reopen()):
                    break
        finally:
            # Only this thread may release: releasing a capture that another thread is reading crashes OpenCV.
            self._capture.release()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _reopen(self) -> bool:
        self._capture.release()
        self._reopening, end = True, time.monotonic() + self._patience
        while not self.stopped and time.monotonic() < end:
            with suppress(SourceError):
                self._capture, self._reopening = open_capture(self._target, self._patience), False
                return True
            time.sleep(0.2)
        return False

    def close(self) -> None:
        self.stop()
        # A read that hangs in the driver cannot be interrupted: the thread releases the device when it returns.
        self._thread.join(timeout=self._patience)


def open_capture(target: int | str | Path, patience: float) -> cv2.VideoCapture:
    """Open a camera (its number), a URL (which may take `patience` seconds) or a file; SourceError with the cause."""
    if isinstance(target, str):
        limit = int(patience * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        capture = cv2.VideoCapture(target, cv2.CAP_FFMPEG, limits)
        problem = f"nothing can be read from {target}"
    elif isinstance(target, int):
        capture = cv2.VideoCapture(target)
        for option, value in CAMERA.items():
            capture.set(option, value)
        found = f" (cameras found: {', '.join(map(str, cameras())) or 'none'})" if sys.platform == "linux" else ""
        problem = f"camera {target} cannot be opened{found}"
    else:
        capture = cv2.VideoCapture(str(target))
        problem = f"there is no file {target}"
        if target.is_file():
            size = f"{target.stat().st_size:,} bytes"
            problem = f"{target} ({size}) is not a video that OpenCV reads, or cut off before its index"
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"source: {problem}; must be {ALLOWED}")
    return capture


def cameras() -> list[int]:
    """Numbers of the cameras that Linux lists in /dev; elsewhere only opening one tells."""
    names = (path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
    return sorted(int(name) for name in names if name.isdecimal())
