"""The benchmark's figure: latency of every contender in every scene, start-up and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fer_utils.figures.style import ACCENT, GRAY, MUTED, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["overview"]

GOAL_MS = 1000 / 30  # a camera's 30 frames a second
BAR = 0.19  # inches; height of a contender's row
TICKS = (1, 10, 100, 1000, 10_000)  # milliseconds
READ = "dot: median milliseconds a frame (log)   tick: p95   number: frames a second   dashed: 30 frames a second"


def overview(results: Mapping[str, Any], *, title: str = "The same frames, the same cores, one run") -> Figure:
    """Draw latency by scene, median (dot) to p95 (tick), then start-up and peak memory; ours in colour, others gray.

    results : what bench.json holds. Contenders that name expressions stand above those that only detect; whoever did
    not come through has an empty row. Raises ValueError when nobody came through.
    """
    entries = sorted(results["contenders"], key=lambda one: not one["labels"])
    measured = [one for entry in entries if not entry["status"] for one in entry["scenes"].values()]
    if all(entry["status"] for entry in entries):
        raise ValueError("results: must hold at least one contender that came through; got none")
    scenes = results["scenes"]
    rows = -(-len(scenes) // 2) + 1
    fig, axes = panels(rows, 2, height=rows * (BAR * len(entries) + 0.75) + 0.6, title=title, sharey=True)
    low, high = min(one["median_ms"] for one in measured), max(one["p95_ms"] for one in measured)
    limits = min(low / 2, GOAL_MS / 4), max(high, GOAL_MS) * 2.5  # one scale, with room for the numbers at its right
    for axis, scene in zip(axes[:-1].flat, scenes, strict=False):
        _latency(axis, entries, scene["name"], limits)
        axis.set_title(scene["title"])
    _bars(axes[-1, 0], entries, "start_s", "start to first label, seconds", "{:.1f}")
    _bars(axes[-1, 1], entries, "peak_mb", "peak memory, MB", "{:.0f}")
    names = [one["title"] + (f" ({one['status'].partition(':')[0]})" if one["status"] else "") for one in entries]
    detectors = sum(bool(entry["labels"]) for entry in entries) - 0.5
    for axis in axes.flat:
        axis.grid(axis="y", visible=False)
        axis.set_axis_on() if axis.has_data() else axis.set_axis_off()
        if axis.has_data() and -0.5 < detectors < len(entries) - 1:
            axis.axhline(detectors, color=MUTED, linewidth=0.8)
            axis.text(0.995, detectors, "detection only ", transform=axis.get_yaxis_transform(), ha="right", va="top",
                      fontsize=7, color=GRAY)
    for axis in axes[:, 0]:
        axis.set_yticks(range(len(entries)), names, fontsize=8)
        for label, entry in zip(axis.get_yticklabels(), entries, strict=True):
            label.set_color(ACCENT if entry["own"] else GRAY)
    axes[0, 0].set_ylim(len(entries) - 0.4, -0.6)  # the first one on top
    fig.supxlabel(READ, fontsize=8, color=GRAY)
    return fig


def _latency(axis: Axes, entries: Sequence[Mapping[str, Any]], scene: str, limits: tuple[float, float]) -> None:
    # Dots: a bar's length means nothing on a logarithmic scale.
    for row, entry in enumerate(entries):
        one, color = entry["scenes"].get(scene), ACCENT if entry["own"] else MUTED
        if one and not entry["status"]:
            axis.plot([one["median_ms"], one["p95_ms"]], [row] * 2, color=color, marker="|", markevery=[1], linewidth=2)
            axis.plot(one["median_ms"], row, "o", color=color)
            text = f" {one['fps']:.{0 if one['fps'] >= 10 else 1}f}"
            ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # readable on the dashed line too
            axis.annotate(text, (max(one["median_ms"], one["p95_ms"]), row), xytext=(4, 0), textcoords="offset points",
                          va="center", fontsize=8, bbox=ground)
    axis.axvline(GOAL_MS, color=ACCENT, linestyle="--", linewidth=1)
    axis.set(xscale="log", xlim=limits)
    ticks = [tick for tick in TICKS if limits[0] <= tick <= limits[1]]
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks], fontsize=8)
    axis.minorticks_off()


def _bars(axis: Axes, entries: Sequence[Mapping[str, Any]], key: str, title: str, form: str) -> None:
    values = {row: entry[key] for row, entry in enumerate(entries) if entry[key] is not None and not entry["status"]}
    axis.barh(list(values), list(values.values()), color=[ACCENT if entries[row]["own"] else MUTED for row in values])
    for row, value in values.items():
        axis.text(value, row, f" {form.format(value)}", va="center", fontsize=8, color=GRAY)
    axis.set(xlim=(0, 1.18 * max(values.values())), title=title)
    axis.tick_params(axis="x", labelsize=8)
