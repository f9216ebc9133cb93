"""Twenty thousand frames in one run, with a table and a video: memory stays where it was after a thousand."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import av
import pytest
import realtime_tools as tools

from fer_utils import paths

FRAMES, EARLY = 20_000, 1_000
PROGRAM = """
import json, resource, sys
from itertools import count
import realtime_tools as tools
from fer_utils import realtime

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

def frames(number):
    moving = [tools.scene((90 + 4 * i, 120), size=70, width=320, height=240) for i in range(35)]
    moving += moving[::-1] + [tools.scene(width=320, height=240)] * 5
    for index in range(number):
        yield moving[index % len(moving)]

model, table, film, total, early = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
taken, counter = {}, count(1)

def look(result, drawn):
    number = next(counter)
    if number in (early, total):
        taken[number] = resident()

settings = realtime.Settings(model=model, detect_every=25)
summary = realtime.run(
    frames(total), output=film, tables=[table], settings=settings, on_result=look, log=lambda text: None
)
print(json.dumps({"taken": taken, "frames": summary.frames, "faces": summary.faces}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_after_twenty_thousand_frames(tmp_path):
    model = tools.tiny_classifier(tmp_path / "tiny.onnx")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, model, tmp_path / "rows.csv", tmp_path / "film.mp4", str(FRAMES), str(EARLY)],
        env=paths_on_path(), capture_output=True, text=True, timeout=590,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    early, late = (found["taken"][str(number)] for number in (EARLY, FRAMES))
    assert found["frames"] == FRAMES and found["faces"] > 0.8 * FRAMES
    assert late <= 1.05 * early, f"{early / 1024:.0f} MB after {EARLY:,} frames, {late / 1024:.0f} MB after {FRAMES:,}"
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert film.streams.video[0].frames == FRAMES
    assert sum(1 for _ in open(tmp_path / "rows.csv", encoding="utf-8")) == found["faces"] + 1


def paths_on_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(paths.ROOT), str(paths.ROOT / "tests" / "helpers")])}
