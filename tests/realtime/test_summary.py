"""What a run amounted to, and how what was found compares with the truth."""

from __future__ import annotations

import numpy as np
import pytest

from fer_utils.data.sample import ClipTruth
from fer_utils.realtime import Frame, detection
from fer_utils.realtime import summary as summary_module
from fer_utils.realtime._pipeline import Result
from fer_utils.realtime.summary import Summary
from fer_utils.realtime.tracker import Track

FACE, ELSEWHERE = (100.0, 100.0, 80.0, 100.0), (400.0, 100.0, 80.0, 100.0)
VISIBLE, PARTIAL, EMPTY = ClipTruth(FACE, "Happy", 1.0), ClipTruth(FACE, "Happy", 0.5), ClipTruth(None, None, 0.0)


def a_result(index: int, labels: dict[int, str], **milliseconds: float) -> Result:
    p = np.full(7, 1 / 7, np.float32)
    tracks = [
        Track(FACE, 0.9, None, time=0, id=number, raw=p, probabilities=p, label=label, uncertain=False)
        for number, label in labels.items()
    ]
    return Result(Frame(np.zeros((4, 4, 3), np.uint8), index / 25, index), tracks, [], False, milliseconds)


def test_detection_counts_each_kind_of_frame():
    truth = [VISIBLE, VISIBLE, VISIBLE, EMPTY, EMPTY]
    truth += [PARTIAL, PARTIAL]
    found = [[FACE], [], [FACE, ELSEWHERE], [], [ELSEWHERE], [FACE], []]
    result = detection(found, truth)
    assert "2 of 3 frames that hold one (66.7 %), false detections in 1 of 2" in result
    assert "1 stray boxes (2 frames" in result
    elsewhere = detection([[ELSEWHERE]], [VISIBLE])
    assert "found in 0 of 1" in elsewhere and "1 stray boxes" in elsewhere, "a box elsewhere is no find"


def test_truth_may_be_longer_but_not_shorter():
    assert "found in 1 of 1 " in detection([[FACE]], [VISIBLE] * 3)
    assert "(nan %)" in detection([], [])
    with pytest.raises(ValueError, match="^truth: "):
        detection([[], []], [EMPTY])


def test_counts_and_times():
    summary = Summary()
    for i in range(20):
        summary.add(a_result(i, {1: "Happy"} if i % 2 else {}, detect=10.0 * i, read=1000.0), draw=1.0, write=500.0)
    assert (summary.frames, summary.faces, summary.frames_with_face) == (20, 10, 10)
    assert summary.labels == {"Happy": 10}
    assert list(summary.stages) == ["read", "detect", "draw", "write"], "the order of the work"
    assert summary.percentile(50) == pytest.approx(1 + 95), "reading and writing are no latency"
    assert summary.fps > 20
    assert summary.recent_fps > 20
    assert any("p95 latency" in line and "FPS over 20 frames" in line for line in summary.lines())
    assert "track 1: Happy 10" in summary.lines()[-1]


def test_nothing_and_no_face_are_said():
    assert Summary().lines() == ["no frame was processed"]
    assert Summary().recent_fps is None
    assert np.isnan(Summary().percentile(95))
    summary = Summary()
    summary.add(a_result(0, {}, detect=1.0))
    assert summary.lines()[-1] == "faces: no face was found in 1 frames"


def test_memory_stays_flat(monkeypatch):
    monkeypatch.setattr(summary_module, "KEPT", 50)
    summary = Summary()
    for i in range(200):
        summary.add(a_result(i, {}, detect=float(i)))
    assert summary.frames == 200
    assert len(summary.stages["detect"]) == 50
