"""The browser's camera in a notebook: for a kernel on a remote machine, which has no camera of its own.

The page (`browser.js`) sends frames as JPEG over Jupyter's own connection; the kernel finds the faces, draws, and sends
the picture back. The next frame leaves the page only when the one before was answered, so the view never lags behind.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.notebook import LiveView, picture_and_caption
from fer_utils.realtime.pictures import decode
from fer_utils.realtime.sources import Buffered


class BrowserCamera(LiveView):
    """The camera of whoever looks at the notebook, with the annotated view and Start and Stop buttons below the cell.

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
            _esm = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")

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
