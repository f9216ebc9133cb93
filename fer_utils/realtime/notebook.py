"""Real time inside a notebook: choose a source or the browser's camera, watch it, keep the numbers for plots."""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_utils.realtime._pipeline import Result, Settings
from fer_utils.realtime._run import run
from fer_utils.realtime.opening import open_source
from fer_utils.realtime.pictures import decode
from fer_utils.realtime.sources import CLIP, Buffered, SourceError
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


class BrowserCamera(LiveView):
    """The camera of whoever looks at the notebook, with the annotated view and Start and Stop buttons below the cell.

    For a kernel on a remote machine, which has no camera. The page (`browser.js`) sends frames as JPEG over Jupyter's
    own connection; the kernel sends annotated ones back. The next frame leaves the page only when the one before was
    answered, so the view never lags behind.

    The browser gives a camera only to a page on HTTPS or localhost; where it does not, the view says what to do. Stop,
    leaving the page, clearing the output and `stop()` give the camera back. Nothing is written to a file, but pictures
    travel to the kernel's machine: `blur` changes what is shown, not what is sent. Tested in JupyterLab alone.

    `patience`: seconds without a frame after which the run ends with an error. `options`: `settings`, `blur`, `limit`,
    `widget` of `LiveView`, whose attributes tell of the last run.

    Examples
    --------
    >>> camera = BrowserCamera(settings=settings).start()  # shows the view; its Start button begins
    >>> (await camera.ended(60)).summary.labels
    """

    def __init__(self, *, patience: float = 30.0, **options: Any) -> None:
        self._patience, self._session, self._begun = patience, None, False
        self.page: Any = None
        super().__init__(None, **options)

    def start(self) -> "BrowserCamera":
        """Show the view where somebody watches; the frames come when its Start button is pressed."""
        if self._widget:
            self._show()
        return self

    def stop(self) -> None:
        """End the run and give the camera back; the view stays and can be started again."""
        self.source.stop()
        super().stop()

    async def ended(self, seconds: float | None = None) -> LiveView:
        """Wait for Start and the run's end, at most `seconds`; the kernel takes frames meanwhile (ipykernel ≥ 7.4)."""
        import asyncio

        until = float("inf") if seconds is None else time.monotonic() + seconds
        while self._widget and (self.running or not self._begun) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        return self.wait(0)

    def _reset(self) -> None:
        super()._reset()
        self.source = Buffered("the browser's camera", live=True, patience=self._patience)

    def _show(self) -> None:
        import anywidget  # takes half a second
        from IPython.display import display

        class Page(anywidget.AnyWidget):
            _esm = Path(__file__).with_name("browser.js").read_text(encoding="utf-8")

        if self.page is None:
            self.page = Page()
            self.page.on_msg(self._receive)
        display(self.page)

    def _receive(self, _: object, content: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        """A message of the page. `session` names one Start of one view: late messages of another are told apart."""
        kind, session = content.get("kind"), content.get("session")
        if kind == "start":
            self.stop()  # before the session changes: the view that ran until now is told that it has ended
            self._session = session
            self._begin()
            self._begun = True
        elif session == self._session and self.running:
            if kind == "frame":
                self._put(content.get("number"), buffers)
            elif kind == "stop":
                # Not joined: the button's message must not block the kernel.
                self._stop.set()
                self.source.stop()
        elif kind == "frame":
            self._send("end", "This run has ended. Start begins a new one.", session=session)

    def _put(self, number: int, buffers: Sequence[memoryview]) -> None:
        if (picture := decode(buffers[0]) if buffers else None) is not None:
            return self.source.put(picture, time.monotonic(), number)
        self.source.notes[:] = ["a frame from the page could not be read as JPEG and was left out"]
        self._send("frame", "The page sent a frame that cannot be read as JPEG; it was left out.", number=number)

    def _show_frame(self, result: Result, drawn: np.ndarray) -> None:
        picture, caption = picture_and_caption(result, drawn)
        self._send("frame", caption, picture, number=self.source.number)

    def _show_end(self, text: str) -> None:
        self._send("end", text)

    def _send(self, kind: str, text: str, *pictures: bytes, **more: object) -> None:
        self.page.send({"kind": kind, "text": text, "session": self._session} | more, list(pictures))
