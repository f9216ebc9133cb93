"""The benchmark's figure: latency of every contender in every scene, start-up and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fer_utils.figures.style import ACCENT, GRAY, MUTED, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["overview"]

GOAL_MS = 1000 / 30  # a camera's 30 frames a second
BAR = 0.19  # inches; height of a contender's row


def overview(results: Mapping[str, Any], *, title: str = "The same frames, the same cores, one run") -> Figure:
    """Latency by scene, median (dot) to p95 (tick), then start-up and peak memory; ours in colour, the others gray.

    results : what bench.json holds. Contenders that name expressions stand above those that only detect; whoever did
    not come through has an empty row. Raises ValueError when nobody came through.
    """
    entries = sorted(results["contenders"], key=lambda one: not one["labels"])
    if all(entry["status"] for entry in entries):
        raise ValueError("results: must hold at least one contender that came through; got none")
    scenes = results["scenes"]
    rows = -(-len(scenes) // 2) + 1
    fig = _figure(WIDTH, rows * (BAR * len(entries) + 0.75) + 0.6)
    axes = fig.subplots(rows, 2, sharey=True, squeeze=False)
    limits = _limits(entries)
    for axis, scene in zip(axes[:-1].flat, scenes, strict=False):
        numbers = [entry["scenes"].get(scene["name"]) for entry in entries]
        _latency(axis, entries, numbers, limits)
        axis.set_title(scene["title"], fontsize=9, loc="left")
    for axis in axes[:-1].flat[len(scenes) :]:
        axis.axis("off")
    _bars(axes[-1, 0], entries, [entry["start_s"] for entry in entries], "start to first label, seconds", "{:.1f}")
    _bars(axes[-1, 1], entries, [entry["peak_mb"] for entry in entries], "peak memory, MB", "{:.0f}")
    for axis in axes[:, 0]:
        _names(axis, entries)
    for axis in (*axes[:-1].flat[: len(scenes)], *axes[-1]):
        _divide(axis, entries)
    axes[0, 0].set_ylim(len(entries) - 0.4, -0.6)  # the first one on top
    fig.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    fig.supxlabel(
        "dot: median milliseconds a frame (log)   tick: p95   number: frames a second   dashed: 30 frames a second",
        fontsize=8, color=GRAY,
    )
    return fig


def _latency(
    axis: Axes, entries: Sequence[Mapping[str, Any]], numbers: Sequence[Mapping[str, float] | None],
    limits: tuple[float, float],
) -> None:
    # Dots: a bar's length means nothing on a logarithmic scale.
    rows = [row for row, one in enumerate(numbers) if one and not entries[row]["status"]]
    medians, tails = ([numbers[row][key] for row in rows] for key in ("median_ms", "p95_ms"))
    colours = [_colour(entries[row]) for row in rows]
    axis.hlines(rows, medians, tails, colors=colours, linewidth=2)
    axis.scatter(tails, rows, marker="|", s=45, c=colours, linewidths=1.6)
    axis.scatter(medians, rows, s=40, c=colours, zorder=3)
    for row, median, tail in zip(rows, medians, tails, strict=True):
        label = f" {numbers[row]['fps']:.{0 if numbers[row]['fps'] >= 10 else 1}f}"
        place = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # readable on the dashed line too
        axis.annotate(label, (max(median, tail), row), fontsize=8, bbox=ground, **place)
    axis.axvline(GOAL_MS, color=ACCENT, linestyle="--", linewidth=1)
    axis.set(xscale="log", xlim=limits)
    ticks = [tick for tick in (1, 10, 100, 1000, 10_000) if limits[0] <= tick <= limits[1]]
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks], fontsize=8)
    axis.minorticks_off()
    axis.grid(axis="y", visible=False)


def _bars(
    axis: Axes, entries: Sequence[Mapping[str, Any]], values: Sequence[float | None], title: str, form: str
) -> None:
    rows = [row for row, value in enumerate(values) if value is not None and not entries[row]["status"]]
    axis.barh(rows, [values[row] for row in rows], color=[_colour(entries[row]) for row in rows], height=0.7)
    for row in rows:
        axis.text(values[row], row, f" {form.format(values[row])}", va="center", fontsize=8, color=GRAY)
    axis.set_xlim(0, 1.18 * max(values[row] for row in rows))
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="y", visible=False)
    axis.set_title(title, fontsize=9, loc="left")


def _names(axis: Axes, entries: Sequence[Mapping[str, Any]]) -> None:
    axis.set_yticks(range(len(entries)), [_name(entry) for entry in entries], fontsize=8)
    for label, entry in zip(axis.get_yticklabels(), entries, strict=True):
        label.set_color(ACCENT if entry["own"] else GRAY)


def _divide(axis: Axes, entries: Sequence[Mapping[str, Any]]) -> None:
    """A line between those that name expressions and those that only detect."""
    place = sum(bool(entry["labels"]) for entry in entries) - 0.5
    if -0.5 < place < len(entries) - 1:
        axis.axhline(place, color=MUTED, linewidth=0.8)
        axis.text(0.995, place, "detection only ", transform=axis.get_yaxis_transform(), ha="right", va="top",
                  fontsize=7, color=GRAY)


def _name(entry: Mapping[str, Any]) -> str:
    return f"{entry['title']} ({entry['status'].partition(':')[0]})" if entry["status"] else entry["title"]


def _limits(entries: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """One scale for all scenes, with room for the numbers at its right."""
    all_numbers = [one for entry in entries if not entry["status"] for one in entry["scenes"].values()]
    low = min((one["median_ms"] for one in all_numbers), default=1)
    high = max((max(one["median_ms"], one["p95_ms"]) for one in all_numbers), default=1000)
    return min(low / 2, GOAL_MS / 4), max(high, GOAL_MS) * 2.5


def _colour(entry: Mapping[str, Any]) -> str:
    return ACCENT if entry["own"] else MUTED


def _figure(width: float, height: float) -> Figure:
    """A figure outside pyplot's list: a notebook shows it once, where it is asked to."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
