"""What the project aims at, and whether a run got there. Two cores, no accelerator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tools.bench.results import find, ratio

__all__ = ["GOALS", "lines"]

ONE, FOUR = "640x480-1", "640x480-4"
Results = dict[str, Any]
Value = Callable[[Results], float | None]


def _of(name: str, key: str, scene: str = "") -> Value:
    def value(results: Results) -> float | None:
        one = find(results, name)
        if not one:
            return None
        return one["scenes"].get(scene, {}).get(key) if scene else one[key]

    return value


def _times(ours: str, other: str, scene: str) -> Value:
    def value(results: Results) -> float | None:
        found = ratio(results, ours, other, scene)
        return found[0] if found else None

    return value


def _times_more_accurate(other: str, scene: str) -> Value:
    """The fastest of ours among those that are right more often on PrivateTest."""

    def value(results: Results) -> float | None:
        theirs = (find(results, other) or {}).get("accuracy")
        if theirs is None:
            return None
        ours = [entry["name"] for entry in results["contenders"] if entry["own"] and (entry["accuracy"] or 0) > theirs]
        ratios = [found[0] for name in ours if (found := ratio(results, name, other, scene))]
        return max(ratios, default=0.0)

    return value


# what, value, aim, unit; an aim below 0 is an upper limit
GOALS: tuple[tuple[str, Value, float, str], ...] = (
    ("MTCNN alone against mtcnn, same settings, 640×480", _times("ours-detect", "mtcnn", ONE), 8, "×"),
    ("MTCNN on a copy of 320 px against BlazeFace full range", _times("ours-search", "blazeface-full", ONE), 0.91, "×"),
    ("Xception, 640×480, one face", _of("ours-heavy", "fps", ONE), 30, "FPS"),
    ("Xception, 640×480, one face, p95", _of("ours-heavy", "p95_ms", ONE), -50, "ms"),
    ("MobileNetV3-Large, 640×480, one face", _of("ours-light", "fps", ONE), 60, "FPS"),
    ("MobileNetV3-Large, 640×480, one face, p95", _of("ours-light", "p95_ms", ONE), -50, "ms"),
    ("MobileNetV3-Large, 640×480, four faces", _of("ours-light", "fps", FOUR), 20, "FPS"),
    ("Xception, no tracking, 640×480, one face", _of("ours-every", "fps", ONE), 15, "FPS"),
    ("Xception, no tracking, full size, 640×480, one face", _of("ours-whole", "fps", ONE), 15, "FPS"),
    (
        "the fastest that is more accurate than fer, against fer, 640×480, one face",
        _times_more_accurate("fer", ONE), 10, "×",
    ),
    ("start to first label, Xception", _of("ours-heavy", "start_s"), -2, "s"),
    ("peak memory, Xception", _of("ours-heavy", "peak_mb"), -700, "MB"),
)


def lines(results: Results) -> list[str]:
    """One line for each goal: reached, missed or not measured."""
    return [_line(what, value(results), aim, unit) for what, value, aim, unit in GOALS]


def _line(what: str, value: float | None, aim: float, unit: str) -> str:
    aimed = f"aim {'≤' if aim < 0 else '≥'} {abs(aim):g} {unit}"
    if value is None:
        return f"goal not measured: {what} ({aimed})"
    reached = value <= -aim if aim < 0 else value >= aim
    return f"goal {'reached' if reached else 'missed'}: {what}: {value:.1f} {unit} ({aimed})"
