"""The driver's end of a contender's process: start it, ask it, end it, and say in one line what went wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from fer_utils import paths
from tools.bench.contenders import Contender
from tools.bench.frames import Scene

__all__ = ["Process", "WorkerError"]

START_SECONDS, REPLY_SECONDS = 180, 600  # patience; whoever takes longer is ended
REASON = 240  # characters
# Offline and without an accelerator for everyone; TensorFlow's start-up notes would hide a real reason.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore",
}


class WorkerError(RuntimeError):
    """A contender that does not start, has ended or does not answer; the message is the reason."""


class Process:
    """A started contender. A context manager, or call `close()`.

    Parameters
    ----------
    contender : who. python : the interpreter of its environment. path, scene : the frames whose first one it labels.

    Attributes
    ----------
    start_seconds : from the process's creation until its first label was here.
    ready : what it reports then (`labels`, `python`, `versions`).

    Raises
    ------
    WorkerError when it does not come that far.
    """

    def __init__(self, contender: Contender, python: Path, path: Path, scene: Scene) -> None:
        if not python.is_file():
            raise WorkerError(f"{python.parents[2].name}/{python.parents[1].name} is not there; `make bench` builds it")
        arguments = (contender.name, path, scene.width, scene.height)
        self._errors = tempfile.TemporaryFile()
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [str(part) for part in (python, "-m", "tools.bench.worker", *arguments)], text=True, cwd=paths.ROOT,
            env=os.environ | ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )
        self.ready = self._reply(START_SECONDS)
        self.start_seconds = time.perf_counter() - start

    def ask(self, **question: object) -> dict[str, Any]:
        """Send a question (see `worker`) and wait for the answer."""
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: `_reply` finds out why
        return self._reply(REPLY_SECONDS)

    def close(self) -> None:
        """End the process; a second call does nothing."""
        if self._process.poll() is None:
            self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reply(self, seconds: float) -> dict[str, Any]:
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        late = not timer.is_alive()
        timer.cancel()
        if line:
            return json.loads(line)
        reason = f"no answer within {seconds} s" if late else self._reason()
        self.close()
        raise WorkerError(reason)

    def _reason(self) -> str:
        code = self._process.wait()
        if code < 0:
            return f"it crashed ({signal.Signals(-code).name})"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").replace(str(paths.ROOT), ".").strip().splitlines()
        return lines[-1].strip()[:REASON] if lines else f"it ended with code {code}"
