"""What all sources share: frames, errors, and a queue between a thread that reads and one that works.

Every source is a context manager.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from fer_utils.faces import Closing, ImageError
from fer_utils.faces.preprocess import to_uint8

CLIP = "clip"
ALLOWED = f"a camera's number (0, 1, …), a video, a picture, a folder of pictures, a URL (rtsp://, http://) or {CLIP!r}"
AHEAD = 8  # frames of a file that are read before they are asked for
POLL = 0.1  # seconds; Windows delivers Ctrl-C only between two waits


class SourceError(ValueError):
    """A source that is not there or cannot be read; the message says which, and what is allowed."""


class CaptureLost(SourceError):
    """A live source stopped delivering, or hangs, and could not be opened again."""


@dataclass(frozen=True)
class Frame:
    """One picture at one time.

    Examples
    --------
    >>> with Pipeline() as pipe:
    ...     result = pipe(Frame(image, time=0.0, index=0))
    """

    image: np.ndarray  # uint8 [H, W, 3], RGB, 0–255
    time: float  # seconds since the source's first frame
    index: int  # 0, 1, 2 …
    name: str = ""  # the file's (separate pictures, and one of several sources)
    scale: float = 1.0  # pixels of the file for one of `image`, which may be a reduced picture


def as_frame(image: np.ndarray) -> np.ndarray:
    """Any picture (see `pipeline`) as uint8 [H, W, 3] RGB; alpha is dropped. ImageError for what is none."""
    image = np.asarray(image)
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels not in (1, 3, 4) or not image.size:
        raise ImageError(f"image: must be [H, W] or [H, W, 1, 3 or 4] and not empty; got {list(image.shape)}")
    image = to_uint8(image).reshape(*image.shape[:2], channels)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)) if channels == 1 else image[:, :, :3])


class Source(Closing):
    """Iterate it for frames; `notes` say what went wrong meanwhile, `left_out` why a file was not read."""

    live = still = stopped = False  # live: only the newest frame counts; still: separate pictures, not a video
    fps, start, path, total = 25.0, 0.0, None, None  # path: a file's, or its address; total: about so many frames

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
        start = None
        while (item := self._take()) is not None:
            image, seconds, self.number = item
            if self.live:
                start = seconds if start is None else start
                seconds -= start
            yield Frame(as_frame(image), seconds, self._taken)
            self._taken += 1

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
