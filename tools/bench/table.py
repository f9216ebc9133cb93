"""The results as Markdown, for README and the terminal."""

from __future__ import annotations

from typing import Any

from tools.bench import machine
from tools.bench.results import ratio

__all__ = ["table"]

RATIOS = (  # ours, the other, the scene, words before and after the number
    ("ours-search", "blazeface-full", "640x480-1", "MTCNN on a copy of 320 px", "as fast as `mediapipe` full range"),
    ("ours-search", "blazeface-short", "640x480-1", "the same", "as fast as `mediapipe` short range"),
    ("ours-detect", "mtcnn", "640x480-1", "MTCNN alone, same settings", "as fast as `mtcnn`"),
    ("ours-detect", "facenet", "640x480-1", "MTCNN alone, same settings", "as fast as `facenet-pytorch`"),
    ("ours-light", "fer", "640x480-1", "whole pipeline with MobileNetV3-Large", "as fast as `fer`"),
    ("ours-heavy", "fer", "640x480-1", "whole pipeline with Xception", "as fast as `fer`"),
    ("ours-whole", "fer", "640x480-1", "the same without tracking, at full size", "as fast as `fer`"),
)


def table(results: dict[str, Any]) -> str:
    """A run as Markdown: whole pipelines, detectors, how they compare, and the machine.

    `results` is what `run` returns and bench.json holds.
    """
    parts = [
        _rows("From frame to label", results, labels=True),
        _rows("Detection only", results, labels=False),
        "\n".join(_ratios(results)),
        _notes(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _rows(title: str, results: dict[str, Any], *, labels: bool) -> str:
    chosen = [entry for entry in results["contenders"] if entry["labels"] == labels]
    if not chosen:
        return ""
    scenes = results["scenes"]
    accuracy = labels and results["private_test"] > 0
    heads = [title, *(scene["title"] for scene in scenes), "start-up", "peak memory"]
    heads += ["PrivateTest"] if accuracy else []
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(_line(cells) for cells in (heads, rule, *(_cells(entry, scenes, accuracy) for entry in chosen)))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(entry: dict[str, Any], scenes: list[dict[str, Any]], accuracy: bool) -> list[str]:
    name = f"**{entry['title']}**" if entry["own"] else f"`{entry['title'].partition(',')[0]}`{_rest(entry['title'])}"
    if entry["status"]:
        reason = entry["status"].replace("|", "\\|")
        return [name, reason, *[""] * (len(scenes) + 1 + accuracy)]
    cells = [_speed(entry["scenes"].get(scene["name"])) for scene in scenes]
    cells += [f"{entry['start_s']:.1f} s", f"{entry['peak_mb']} MB"]
    if accuracy:
        cells.append("–" if entry["accuracy"] is None else f"{entry['accuracy']:.1%}".replace("%", " %"))
    return [name, *cells]


def _rest(title: str) -> str:
    _, comma, rest = title.partition(",")
    return comma + rest


def _speed(numbers: dict[str, Any] | None) -> str:
    if not numbers:
        return "–"
    text = f"**{_short(numbers['fps'])} FPS**<br>{_short(numbers['median_ms'])} / {_short(numbers['p95_ms'])} ms"
    # Finding less than all is fast; it must be seen beside the speed.
    return text if 0.99 <= numbers["found"] <= 1.01 else f"{text}<br>found {100 * numbers['found']:.0f} %"


def _short(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:.0f}"


def _ratios(results: dict[str, Any]) -> list[str]:
    lines = []
    for ours, other, scene, before, after in RATIOS:
        found = ratio(results, ours, other, scene)
        if found:
            middle, least, most = found
            lines.append(f"- {before}: **{middle:.1f} times** {after} ({least:.1f} to {most:.1f} over the rounds)")
    return lines


def _notes(results: dict[str, Any]) -> str:
    plan = results["plan"]
    pieces = " and ".join(f"{plan['rounds'][height]} × {n} at {height} lines" for height, n in plan["frames"].items())
    versions = {
        f"{name} {version}" for entry in results["contenders"] for name, version in entry["versions"].items()
    }
    return (
        f"Frames a second, then median / p95 latency. Measured {results['date']} in one interleaved run on "
        f"{machine.sentence(results['machine'])}. Frames counted for each scene: {pieces}; start-up: median of "
        f"{plan['starts']}. `make bench` repeats it. Versions: {', '.join(sorted(versions))}."
    )
