"""From recorded milliseconds to the numbers of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tools.bench.contenders import Contender
from tools.bench.frames import Scene

__all__ = ["entry", "find", "ratio", "scene_results"]


def entry(contender: Contender) -> dict[str, Any]:
    """An empty record; `status` is "" as long as nothing is wrong, `pieces` holds the replies by scene."""
    return {
        "name": contender.name, "title": contender.title, "labels": contender.labels, "own": contender.own,
        "status": "", "python": "", "versions": {}, "starts": [], "pieces": {}, "accuracy": None,
    }


def scene_results(record: dict[str, Any], scenes: Sequence[Scene]) -> dict[str, Any]:
    """A record with `start_s`, `peak_mb` and, in place of its pieces, the numbers of each scene."""
    pieces = record["pieces"]
    peaks = [reply["peak_mb"] for replies in pieces.values() for reply in replies]
    measured = {scene.name: _numbers(pieces[scene.name], scene.faces) for scene in scenes if scene.name in pieces}
    return {key: value for key, value in record.items() if key != "pieces"} | {
        "start_s": float(np.median(record["starts"])) if record["starts"] else None,
        "peak_mb": round(max(peaks)) if peaks else None,
        "scenes": measured,
    }


def _numbers(replies: list[dict[str, Any]], faces: int) -> dict[str, Any]:
    """n: frames. found: faces found of those shown; above 1: false ones too. rounds_fps, rounds_ms: of each round."""
    rounds = [np.array(reply["ms"]) for reply in replies]
    spent = np.concatenate(rounds)
    medians = [round(float(np.median(part)), 3) for part in rounds]
    speeds = [round(float(1000 / part.mean()), 3) for part in rounds]
    return {
        "n": len(spent),
        "median_ms": float(np.median(medians)),
        "p95_ms": round(float(np.percentile(spent, 95)), 3),
        "fps": float(np.median(speeds)),
        "found": round(float(np.mean([count for reply in replies for count in reply["found"]])) / faces, 3),
        "rounds_ms": medians,
        "rounds_fps": speeds,
    }


def find(results: dict[str, Any], name: str) -> dict[str, Any] | None:
    """A contender's entry, None when it did not take part or did not come through."""
    return next((e for e in results["contenders"] if e["name"] == name and not e["status"]), None)


def ratio(results: dict[str, Any], ours: str, other: str, scene: str) -> tuple[float, float, float] | None:
    """How many times as many frames a second `ours` does as `other`: median, least and most over the rounds."""
    pair = [find(results, name) for name in (ours, other)]
    if not all(one and scene in one["scenes"] for one in pair):
        return None
    fast, slow = (np.array(one["scenes"][scene]["rounds_fps"]) for one in pair)
    ratios = fast / slow
    return float(np.median(ratios)), float(ratios.min()), float(ratios.max())
