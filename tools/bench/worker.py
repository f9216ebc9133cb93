"""One contender in a process of its own: `python -m tools.bench.worker NAME FRAMES WIDTH HEIGHT`.

It loads the contender, labels the first frame of the file FRAMES, and says so in a line of JSON on stdout. Then it
answers each line of JSON on stdin with one:

- `{"do": "run", "file", "width", "height", "start", "stop", "lead", "time"}` → `{"ms", "found", "peak_mb"}`: the
  milliseconds and the number of faces of each frame from `start` to before `stop`. `lead` frames before them are worked
  on, not counted. `time`: seconds that frame 0 stands for.
- `{"do": "classify", "file"}` → `{"predicted"}`: class numbers for `images` in an .npz file; null without a classifier.

It ends with its stdin.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tools.bench import frames
from tools.bench.contenders import Adapter, Contender, find_contender

__all__ = ["main", "peak_mb"]


def main(arguments: list[str]) -> int:
    """Load, report, answer. An error ends the process; its last line on stderr is the reason that the table shows."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.worker", description=__doc__.partition(":")[0])
    for name, kind in (("name", str), ("frames", str), ("width", int), ("height", int)):
        parser.add_argument(name, type=kind, metavar=name.upper())
    options = parser.parse_args(arguments)
    replies = _own_stdout()
    contender = find_contender(options.name)
    adapter = contender.load()
    labels = adapter.find(_image(adapter, options.frames, options.width, options.height, 0), 0.0)
    _say(replies, {"labels": list(labels), "python": sys.version.split()[0], "versions": _versions(contender)})
    for line in sys.stdin:
        question = json.loads(line)
        answer = _classify if question.pop("do") == "classify" else _run
        _say(replies, answer(adapter, **question))
    return 0


def peak_mb() -> float:
    """The largest resident set of this process so far, in millions of bytes; NaN where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
    except (OSError, StopIteration):
        return float("nan")


def _own_stdout() -> TextIO:
    """Keep stdout for the replies: what the packages print goes to stderr."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies


def _say(replies: TextIO, answer: dict[str, Any]) -> None:
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


def _image(adapter: Adapter, path: str, width: int, height: int, index: int) -> np.ndarray:
    image = frames.read(path, width, height, index)
    return np.ascontiguousarray(image[..., ::-1]) if adapter.bgr else image


def _run(
    adapter: Adapter, *, file: str, width: int, height: int, start: int, stop: int, lead: int, time: float
) -> dict[str, Any]:
    spent, found = [], []
    for index in range(start - lead, stop):
        image = _image(adapter, file, width, height, index)
        milliseconds, faces = _timed(adapter, image, time + index / frames.FPS)
        if index >= start:
            spent.append(round(milliseconds, 3))
            found.append(faces)
    return {"ms": spent, "found": found, "peak_mb": peak_mb()}


def _timed(adapter: Adapter, image: np.ndarray, seconds: float) -> tuple[float, int]:
    start = time.perf_counter()
    faces = adapter.find(image, seconds)
    return (time.perf_counter() - start) * 1000, len(faces)


def _classify(adapter: Adapter, *, file: str) -> dict[str, Any]:
    if adapter.classify is None:
        return {"predicted": None}
    with np.load(file) as data:
        return {"predicted": [int(number) for number in adapter.classify(data["images"])]}


def _versions(contender: Contender) -> dict[str, str]:
    found = {}
    for package in contender.packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # OpenCV goes by two names, one of which is installed
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
