"""A window for frames, in a process of its own.

Qt, which OpenCV's windows use, ends the whole process when there is no display or when the display goes away. Here that
ends only the window: the video and the table that are being written go on.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
from types import TracebackType

__all__ = ["Window"]

HEADER = struct.Struct("<II")  # height, width
QUIT_KEYS = (ord("q"), ord("Q"), 27)


class Window:
    """Shows frames and notices `q`, Esc or the closed window. A context manager.

    `stopped` turns True when the user wants to end. `failed` turns True when there is no display (any more).
    """

    def __init__(self, title: str) -> None:
        self.stopped = self.failed = self._closing = False
        self._process = subprocess.Popen(
            # -P: the modules beside this file must not hide the standard library's.
            [sys.executable, "-u", "-P", __file__, title],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            # Ctrl-C in the terminal is for the parent, which then closes the window.
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._listen, name="window", daemon=True)
        self._thread.start()

    def show(self, image) -> bool:
        """Show uint8 [H, W, 3] RGB; False when the window is gone or the user has closed it."""
        if self.stopped or self.failed:
            return False
        try:
            self._process.stdin.write(HEADER.pack(*image.shape[:2]) + image.tobytes())
            self._process.stdin.flush()
        except OSError:
            self._thread.join(timeout=2)
            self.failed = not self.stopped
        return not (self.stopped or self.failed)

    def _listen(self) -> None:
        if self._process.stdout.read(1) == b"q":
            self.stopped = True
        else:
            self.failed = not self._closing

    def close(self) -> None:
        """Close the window; a second call does nothing."""
        self._closing = True
        try:
            self._process.stdin.close()
        except OSError:
            pass
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(timeout=2)
        self._process.stdout.close()

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _serve(title: str) -> None:
    """The window's process: frames on stdin; writes `q` when the user ends, and nothing when the display fails."""
    import cv2
    import numpy as np

    stream, shown = sys.stdin.buffer, False
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        height, width = HEADER.unpack(header)
        pixels = stream.read(height * width * 3)
        if len(pixels) < height * width * 3:
            return
        cv2.imshow(title, np.frombuffer(pixels, np.uint8).reshape(height, width, 3)[:, :, ::-1])
        key = cv2.waitKey(1) & 0xFF
        if key in QUIT_KEYS or (shown and cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1):
            sys.stdout.write("q")
            return
        shown = True


if __name__ == "__main__":
    _serve(sys.argv[1])
