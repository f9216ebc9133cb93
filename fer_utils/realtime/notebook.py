"""The real-time view inside a notebook: choose a source, watch it with a Stop button, keep the numbers for plots."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_utils.realtime._pipeline import Result, Settings
from fer_utils.realtime._run import run
from fer_utils.realtime.opening import open_source
from fer_utils.realtime.sources import CLIP, SourceError
from fer_utils.realtime.summary import Summary
from fer_utils.realtime.tracker import Track

MOMENTS = 20_000  # frames whose numbers are kept
SNAPSHOTS = 6  # frames whose pictures are kept, at least
SHOWN_PER_SECOND = 30


def is_interactive() -> bool:
    """Whether somebody sits at this notebook: a front end that can answer runs it, not nbconvert or a test."""
    ipython = sys.modules.get("IPython")
    # A front end sends each cell with allow_stdin; nbclient, which executes notebooks unattended, without.
    return bool(ipython and getattr(getattr(ipython.get_ipython(), "kernel", None), "_allow_stdin", False))


def choose_source(source: str | int | Path = "auto") -> tuple[str | int | Path, str]:
    """The source to use, and why; "auto": camera 0 where there is one and somebody watches, else the clip.

    Examples
    --------
    >>> source, why = choose_source("auto")
    >>> view = LiveView(source).start()
    """
    if source == "auto" and not is_interactive():
        return CLIP, "Nobody watches this run, so the camera stays off: the embedded clip is played."
    source = 0 if source == "auto" else source
    if not str(source).strip().isdecimal():
        return source, f"Source: {source}."
    try:
        open_source(source).close()
    except SourceError as error:
        what = str(error).partition(";")[0].removeprefix("source: ").capitalize()
        return CLIP, (f"{what} on the machine that runs this notebook's kernel: the embedded clip is played. "
                      "For your browser's own camera: fer_utils.realtime.BrowserCamera.")
    return int(source), f"Source: camera {source}. Stop gives it back; nothing is stored."


class LiveView:
    """Runs the pipeline in the background and shows it below the cell, with a Stop button. A new view stops the last.

    `source`, `settings`, `blur`: as for `run`. `limit`: stop after so many seconds, for the page may have been closed.
    `widget`: whether to show it; default: when somebody watches.

    Attributes
    ----------
    moments : (seconds, tracks) of each frame, numbers only.
    snapshots : (seconds, uint8 [H, W, 3] RGB) of 6 to 11 annotated frames, spread over the whole time.
    summary : as of `run`. `lines` : what the run said. `error` : what ended it, or None.

    Examples
    --------
    >>> view = LiveView("talk.mp4", settings=Settings(model="resnet18")).start()
    >>> view.wait(30).summary.labels
    """

    _current: "LiveView | None" = None

    def __init__(self, source: Any, *, settings: Settings | None = None, blur: bool = False, limit: float = 600.0,
                 widget: bool | None = None) -> None:
        self.source, self.settings, self.blur, self.limit = source, settings, blur, limit
        self._widget = is_interactive() if widget is None else widget
        self.image = self.button = self.status = None
        self._reset()

    def _reset(self) -> None:
        self.moments: list[tuple[float, list[Track]]] = []
        self.snapshots: list[tuple[float, np.ndarray]] = []
        self.lines: list[str] = []
        self.summary, self.error = Summary(), None
        self._stop = threading.Event()
        self._stride, self._start, self._shown = 1, 0.0, 0.0
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)

    @property
    def running(self) -> bool:
        """Whether frames are still being processed."""
        return self._thread.is_alive()

    def start(self) -> "LiveView":
        """Begin; shown where somebody watches."""
        if self._widget:
            self._show()
        self._begin()
        return self

    def _begin(self) -> None:
        if LiveView._current is not None:
            LiveView._current.stop()
        self._reset()
        LiveView._current, self._start = self, time.perf_counter()
        self._thread.start()

    def stop(self) -> None:
        """End the view and give the source back."""
        self._stop.set()
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join()

    def wait(self, seconds: float | None = None) -> "LiveView":
        """Wait for the end, or until `seconds` after the start. Raises the error that ended the view, if any."""
        if self._thread.ident is not None:
            self._thread.join(None if seconds is None else max(0.0, self._start + seconds - time.perf_counter()))
        if self.error is not None:
            raise self.error
        return self

    def _run(self) -> None:
        options = {"settings": self.settings, "blur": self.blur, "log": self.lines.append, "summary": self.summary}
        try:
            run(self.source, on_result=self._take, **options)
        except Exception as error:  # a thread's traceback would end in the kernel's log: `wait` raises it in the cell
            self.error = error
        if self._widget:
            self._show_end(f"ended: {self.error or (self.lines and self.lines[-1])}")

    def _take(self, result: Result, drawn: np.ndarray) -> bool:
        if len(self.moments) < MOMENTS:
            self.moments.append((result.frame.time, result.tracks))
        if (self.summary.frames - 1) % self._stride == 0:
            self.snapshots.append((result.frame.time, drawn))
            if len(self.snapshots) >= 2 * SNAPSHOTS:
                self.snapshots, self._stride = self.snapshots[::2], 2 * self._stride
        if self._widget:
            self._show_frame(result, drawn)
        return not self._stop.is_set() and time.perf_counter() - self._start < self.limit

    def _show(self) -> None:
        import ipywidgets
        from IPython.display import display

        self.image = ipywidgets.Image(format="jpeg", width=640)
        self.button = ipywidgets.Button(description="Stop", icon="stop")
        self.status = ipywidgets.Label("starting …")
        # Not joined: the button's message must not block the kernel.
        self.button.on_click(lambda _: self._stop.set())
        display(ipywidgets.VBox([self.image, ipywidgets.HBox([self.button, self.status])]))

    def _show_frame(self, result: Result, drawn: np.ndarray) -> None:
        # A file is shown at its own speed; a camera sets its speed itself.
        time.sleep(min(max(0.0, self._start + result.frame.time - time.perf_counter()), 1.0))
        if (now := time.perf_counter()) - self._shown >= 1 / SHOWN_PER_SECOND:
            self._shown = now
            self.image.value, self.status.value = picture_and_caption(result, drawn)

    def _show_end(self, text: str) -> None:
        self.status.value = text


def picture_and_caption(result: Result, drawn: np.ndarray) -> tuple[bytes, str]:
    """An annotated frame (uint8 [H, W, 3] RGB) as JPEG, and its time and labels in words."""
    _, data = cv2.imencode(".jpg", drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    faces = ", ".join(f"{track.id}: {track.text} {100 * track.confidence:.0f} %" for track in result.tracks)
    return data.tobytes(), f"{result.frame.time:.1f} s – {faces or 'no face'}"
