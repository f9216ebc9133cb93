"""Reading a cv2.VideoCapture in a thread of its own: the newest frame of a live source, every frame of a file."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

__all__ = ["Lost", "Reader", "Stalled", "cameras", "open_capture", "quiet"]

# FFmpeg's share of `quiet`. OpenCV reads it once, when the first video is opened by whomever, so it is set on import.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

AHEAD = 8  # frames of a file that are read before they are asked for


class Lost(Exception):
    """The device stopped delivering and could not be opened again."""


class Stalled(Exception):
    """The device is open but sends nothing."""


def quiet() -> None:
    """Keep OpenCV from writing to stderr: what goes wrong is raised or noted by us, with its cause."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def open_capture(
    target: int | str, *, size: tuple[int, int] | None = None, patience: float = 5.0
) -> cv2.VideoCapture | None:
    """Open a camera (its number), a file or a URL; None when that fails.

    size : width and height to ask a camera for, pixels. patience : seconds that a URL may take to answer.
    """
    quiet()
    if isinstance(target, str) and "://" in target:
        limit = int(patience * 1000)
        capture = cv2.VideoCapture(
            target, cv2.CAP_FFMPEG, [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        )
    else:
        capture = cv2.VideoCapture(target)
    if not capture.isOpened():
        capture.release()
        return None
    if isinstance(target, int):
        # A driver's queue of old frames is what makes live views lag.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        for prop, value in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), size or (), strict=False):
            capture.set(prop, value)
    return capture


def cameras(*, limit: int = 4) -> list[int]:
    """Numbers of the cameras there are: read from /dev on Linux, tried one by one (0 … limit - 1) elsewhere."""
    if sys.platform.startswith("linux"):
        names = (path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
        return sorted(int(name) for name in names if name.isdecimal())
    found = []
    for number in range(limit):
        if (capture := open_capture(number)) is None:
            break
        capture.release()
        found.append(number)
    return found


class Reader:
    """Iterate it for (image, seconds): BGR uint8 [H, W, 3] and the time, in the file or (live) on the monotonic clock.

    Parameters
    ----------
    capture : an open capture; the reader owns it from now on.
    newest : hand out only the newest frame (live source) instead of every frame in order (file).
    reopen : how to open the device again when it goes away.
    patience : seconds to wait for a live frame, and for a device that went away to come back.

    Raises
    ------
    Lost, Stalled while iterating a live source. A file just ends.
    """

    def __init__(
        self, capture: cv2.VideoCapture, *, newest: bool,
        reopen: Callable[[], cv2.VideoCapture | None] | None = None, patience: float = 5.0,
    ) -> None:
        self._capture, self._newest, self._reopen, self._patience = capture, newest, reopen, patience
        self._frames: deque[tuple[np.ndarray, float]] = deque()
        self._changed = threading.Condition()
        self._stop = self._done = self._away = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self.dropped = 0

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        if self._thread.ident is None and not self._stop:
            self._thread.start()
        while (item := self._take()) is not None:
            yield item

    def stop(self) -> None:
        """Make the iteration end soon. May be called from a signal handler or another thread."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop reading and release the device; a second call does nothing."""
        self.stop()
        if self._thread.ident is None:
            self._capture.release()
        else:
            # A read that hangs in the driver cannot be interrupted: the thread releases the device when it returns.
            self._thread.join(timeout=self._patience)

    def _take(self) -> tuple[np.ndarray, float] | None:
        with self._changed:
            waited = time.monotonic()
            while not (self._frames or self._done or self._stop):
                self._changed.wait(timeout=0.1)
                if self._newest and not self._away and time.monotonic() - waited > self._patience:
                    raise Stalled(f"sent no frame for {self._patience:g} s")
            if self._frames and not self._stop:
                item = self._frames.popleft()
                self._changed.notify_all()
                return item
            if self._newest and not self._stop:
                raise Lost("stopped delivering frames")
            return None

    def _put(self, image: np.ndarray, seconds: float) -> None:
        with self._changed:
            if self._newest:
                self.dropped += len(self._frames)
                self._frames.clear()
            while len(self._frames) >= AHEAD and not self._stop:
                self._changed.wait()
            self._frames.append((image, seconds))
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while not self._stop:
                good, image = self._read()
                if good:
                    now = time.monotonic() if self._newest else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    self._put(image, now)
                elif not (self._newest and self._come_back()):
                    break
        finally:
            # Only this thread may release: releasing a capture that another thread is reading crashes OpenCV.
            self._capture.release()
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _read(self) -> tuple[bool, np.ndarray | None]:
        try:
            good, image = self._capture.read()
        except cv2.error:
            return False, None
        return bool(good) and image is not None and image.size > 0, image

    def _come_back(self) -> bool:
        self._capture.release()
        self._away, deadline = True, time.monotonic() + self._patience
        while self._reopen and not self._stop and time.monotonic() < deadline:
            if (capture := self._reopen()) is not None:
                self._capture, self._away = capture, False
                return True
            time.sleep(0.2)
        return False
