"""Where frames come from: a camera, a stream, a video file, pictures, arrays. Every source is a context manager.

A live source is read in its own thread and always hands out the newest frame, so that the view never lags behind; a
file is read ahead in a thread too, but never drops a frame. Frames are uint8 [H, W, 3] in RGB, whatever came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from fer_utils import data
from fer_utils.realtime.capture import Lost, Reader, Stalled, cameras, open_capture
from fer_utils.realtime.frame import Frame, as_frame

__all__ = ["Camera", "Frames", "Pictures", "Source", "SourceError", "SourceLost", "VideoFile", "open_source"]

CLIP, CLIP_TITLE = "clip", "the embedded clip"
PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
ALLOWED = f"a camera's number (0, 1, …), a video, a picture, a folder of pictures, a URL (rtsp://, http://) or {CLIP!r}"


class SourceError(ValueError):
    """A source that is not there or cannot be read."""


class SourceLost(SourceError):
    """A live source that stopped delivering."""


class Source:
    """What all sources share. Iterate it for frames; leaving the `with` block (or `close()`) gives the device back.

    Attributes
    ----------
    title : what to call it. `fps` : nominal frames a second. `live` : only the newest frame counts. `still` : frames
    are separate pictures, not a video. `total` : number of frames where known, else None. `notes` : what went wrong
    without ending the work, to be shown to the user. `stopped` : whether `stop()` was called.
    """

    live = False
    still = False

    def __init__(self, title: str) -> None:
        self.title, self.fps, self.total = title, 25.0, None
        self.notes: list[str] = []
        self.stopped = False

    def __iter__(self) -> Iterator[Frame]:
        raise NotImplementedError

    def stop(self) -> None:
        """Make a running iteration end soon; may be called from a signal handler or another thread."""
        self.stopped = True

    def close(self) -> None:
        """Give everything back; a second call does nothing."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class VideoFile(Source):
    """A video file (or a URL of one): every frame, in order, at the file's own times. `path` is None for a URL."""

    def __init__(
        self, path: str | Path, *, title: str | None = None, capture: cv2.VideoCapture | None = None
    ) -> None:
        super().__init__(title or str(path))
        is_url = "://" in str(path)
        if not is_url and not Path(path).is_file():
            raise SourceError(f"source: there is no file {path}; must be {ALLOWED}")
        capture = capture or open_capture(str(path))
        if capture is None:
            size = "" if is_url else f" ({Path(path).stat().st_size:,} bytes)"
            raise SourceError(f"source: {path}{size} is not a video that OpenCV reads, or cut off before its index")
        fps, total = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.fps, self.total = fps if 0 < fps <= 1000 else 25.0, total if total > 0 else None
        self.path = None if is_url else Path(path)
        self._reader = Reader(capture, newest=False)

    def __iter__(self) -> Iterator[Frame]:
        index, last = 0, -1.0
        for bgr, position in self._reader:
            # Some containers give no times, or give them out of order: fall back to the nominal rate.
            last = position if position > last else max(index / self.fps, last + 1e-3)
            yield Frame(as_frame(bgr[:, :, ::-1]), last, index)
            index += 1
        if self.stopped:
            return
        if not index:
            raise SourceError(f"source: {self.title} holds no frame that can be read")
        if self.total and index < self.total - max(2, self.total // 100):
            self.notes.append(f"{self.title} breaks off: {index} of {self.total} frames could be read ({last:.1f} s)")

    def stop(self) -> None:
        super().stop()
        self._reader.stop()

    def close(self) -> None:
        self._reader.close()


class Camera(Source):
    """A camera or a stream: always the newest frame, with the time it arrived.

    Parameters
    ----------
    device : the camera's number, or a stream's URL.
    size : width and height to ask the camera for, pixels; it may choose others.
    patience : seconds to wait for a frame, and to try to reopen a device that went away, before giving up.
    """

    live = True

    def __init__(
        self, device: int | str, *, size: tuple[int, int] | None = (640, 480), patience: float = 5.0,
        capture: cv2.VideoCapture | None = None,
    ) -> None:
        super().__init__(f"camera {device}" if isinstance(device, int) else device)

        def reopen() -> cv2.VideoCapture | None:
            return open_capture(device, size=size, patience=patience)

        capture = capture or reopen()
        if capture is None:
            found = ", ".join(map(str, cameras())) or "none"
            raise SourceError(f"source: {self.title} cannot be opened (cameras found: {found}); must be {ALLOWED}")
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 1 <= fps <= 240 else 30.0
        self._reader = Reader(capture, newest=True, reopen=reopen, patience=patience)

    def __iter__(self) -> Iterator[Frame]:
        start, index = None, 0
        try:
            for bgr, arrived in self._reader:
                start = arrived if start is None else start
                yield Frame(as_frame(bgr[:, :, ::-1]), arrived - start, index)
                index += 1
        except (Lost, Stalled) as error:
            raise SourceLost(f"source: {self.title} {error} (after {index} frames)") from None

    def stop(self) -> None:
        super().stop()
        self._reader.stop()

    def close(self) -> None:
        self._reader.close()


class Pictures(Source):
    """A picture, or a folder of them in name order: each stands alone, one a second."""

    still = True

    def __init__(self, path: str | Path) -> None:
        super().__init__(str(path))
        path = Path(path)
        self.files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix.lower() in PICTURES)
        self.fps, self.total = 1.0, len(self.files)
        if not self.files:
            raise SourceError(f"source: the folder {path} holds no picture ({', '.join(PICTURES)})")

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for file in self.files:
            # imdecode instead of imread: file names outside ASCII work on Windows too.
            data = np.frombuffer(file.read_bytes(), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
            if picture is None:
                self.notes.append(f"{file} cannot be read as a picture and was left out")
                continue
            yield Frame(as_frame(picture[:, :, ::-1]), float(index), index, file.name)
            index += 1
        if not index:
            raise SourceError(f"source: no picture in {self.title} can be read")


class Frames(Source):
    """Arrays from your own code (see `as_frame` for what they may be), taken as video at `fps` frames a second."""

    def __init__(self, frames: Iterable[np.ndarray], *, fps: float = 25.0) -> None:
        super().__init__("frames")
        self.fps, self._frames = fps, frames

    def __iter__(self) -> Iterator[Frame]:
        for index, image in enumerate(self._frames):
            yield Frame(as_frame(image), index / self.fps, index)


def open_source(
    source: int | str | Path | Iterable[np.ndarray] | Source, *, size: tuple[int, int] | None = (640, 480),
    patience: float = 5.0,
) -> Source:
    """The source that a user's word names: a camera's number, a file, a folder, a URL, `"clip"`, or arrays.

    `size` and `patience` are for live sources (see `Camera`). Raises SourceError when it is missing or unreadable.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, (int, np.integer)) or (isinstance(source, str) and source.strip().isdecimal()):
        return Camera(int(source), size=size, patience=patience)
    if not isinstance(source, (str, Path)):
        return Frames(source)
    text = str(source)
    if text == CLIP:
        return VideoFile(data.clip_path(), title=CLIP_TITLE)
    if "://" in text:
        capture = open_capture(text, patience=patience)
        # A file on a web server has a length, a stream has none.
        if capture is not None and capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0:
            return VideoFile(text, capture=capture)
        if capture is None:
            raise SourceError(f"source: nothing can be read from {text}; must be {ALLOWED}")
        return Camera(text, patience=patience, capture=capture)
    path = Path(text).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix.lower() in PICTURES):
        return Pictures(path)
    return VideoFile(path)
