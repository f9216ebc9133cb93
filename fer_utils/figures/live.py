"""Figures of the real-time pipeline: a strip of frames, probabilities over time, where the milliseconds go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.data import CLASSES
from fer_utils.figures.style import ACCENT, COLORS, GRAY, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fer_utils.realtime.tracker import Track

__all__ = ["STAGE_COLORS", "stage_budget", "strip", "timeline"]

STAGE_COLORS = {
    "read": "#BFBFBF", "detect": "#0072B2", "refine": "#56B4E9", "track": "#7F7F7F", "crop": "#F0E442",
    "classify": "#D55E00", "draw": "#009E73", "write": "#8C5BA8",
}
BREAK = 0.3  # seconds; a longer gap in a track is drawn as a gap


def strip(
    snapshots: Sequence[tuple[float, np.ndarray]], *, columns: int = 3, most: int = 6, title: str = ""
) -> Figure:
    """Annotated frames in a grid: of `snapshots` (seconds, uint8 [H, W, 3] RGB) at most `most`, evenly spread."""
    if not snapshots:
        raise ValueError("snapshots: must hold at least one frame; got none")
    chosen = np.linspace(0, len(snapshots) - 1, min(most, len(snapshots))).round().astype(int)
    snapshots = [snapshots[i] for i in chosen]
    rows = -(-len(snapshots) // columns)
    height, width = snapshots[0][1].shape[:2]
    size = (WIDTH, rows * (WIDTH / columns * height / width + 0.25) + (0.3 if title else 0))
    fig = _figure(*size)
    axes = fig.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (seconds, image) in zip(axes.flat, snapshots, strict=False):
        axis.imshow(image)
        axis.set_title(f"{seconds:.1f} s", fontsize=9, fontweight="normal", loc="left")
    if title:
        fig.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return fig


def timeline(
    moments: Sequence[tuple[float, Sequence[Track]]], *, tracks: int = 4, title: str = "",
) -> Figure:
    """Smoothed probabilities of each track over time, as bands that fill 0–1; the longest tracks only.

    moments : (seconds, classified tracks) of each frame in order.
    """
    from matplotlib.patches import Rectangle

    curves = _curves(moments)
    longest = sorted(sorted(curves, key=lambda number: -len(curves[number]))[:tracks])
    rows = max(1, len(longest))
    fig = _figure(WIDTH, 0.9 + 1.7 * rows)
    axes = fig.subplots(rows, 1, squeeze=False, sharex=True)
    for axis, number in zip(axes[:, 0], longest, strict=False):
        for part in _pieces(curves[number]):
            times, values = [t for t, _ in part], np.array([p for _, p in part]).T
            axis.stackplot(times, values, colors=[COLORS[name] for name in CLASSES], linewidth=0)
        axis.set(ylim=(0, 1), yticks=(0, 0.5, 1), ylabel=f"track {number}")
        axis.grid(False)
    if not longest:
        axes[0, 0].text(0.5, 0.5, "no face was found", ha="center", va="center", transform=axes[0, 0].transAxes)
    if moments:
        axes[-1, 0].set_xlim(moments[0][0], max(moments[-1][0], moments[0][0] + 1e-3))
    axes[-1, 0].set_xlabel("seconds")
    handles = [Rectangle((0, 0), 1, 1, color=COLORS[name]) for name in CLASSES]
    fig.legend(handles, CLASSES, ncols=len(CLASSES), loc="outside lower center", fontsize=8, handlelength=1)
    if title:
        axes[0, 0].set_title(title)
    return fig


def stage_budget(stages: Mapping[str, np.ndarray], *, fps: float = 30.0, title: str = "") -> Figure:
    """Mean milliseconds by stage as two bars: frames that the whole detector searched, and those between.

    stages : milliseconds by stage, one entry a frame, as `Summary.stages` has them. fps : the goal to mark.
    """
    searched = np.asarray(stages["detect"]) > 0
    stages = {stage: spent for stage, spent in stages.items() if np.any(np.asarray(spent) > 0)}
    bars = [("whole detector", searched), ("in between", ~searched)]
    bars = [(f"{name}\n({int(rows.sum())} frames)", rows) for name, rows in bars if rows.any()]
    fig = _figure(WIDTH, 1.5 + 0.55 * len(bars))
    axis = fig.subplots()
    left = np.zeros(len(bars))
    for stage, spent in stages.items():
        means = np.array([np.asarray(spent)[rows].mean() for _, rows in bars])
        axis.barh([name for name, _ in bars], means, left=left, color=STAGE_COLORS[stage], label=stage, height=0.6)
        left += means
    for position, total in enumerate(left):
        axis.text(total, position, f"  {total:.1f} ms", va="center", color=GRAY)
    axis.axvline(1000 / fps, color=ACCENT, linestyle="--", linewidth=1)
    axis.text(1000 / fps, -0.55, f" {fps:.0f} frames/s", color=ACCENT, fontsize=8, va="center")
    axis.set(xlabel="mean milliseconds a frame", xlim=(0, 1.2 * max(left.max(), 1000 / fps)))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    fig.legend(ncols=len(stages), loc="outside lower center", fontsize=8, handlelength=1)
    if title:
        axis.set_title(title, pad=14)
    return fig


def _figure(width: float, height: float) -> Figure:
    """A figure outside pyplot's list: a notebook shows it once, where it is asked to."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _curves(moments: Sequence[tuple[float, Sequence[Track]]]) -> dict[int, list[tuple[float, np.ndarray]]]:
    curves: dict[int, list[tuple[float, np.ndarray]]] = {}
    for seconds, tracks in moments:
        for track in tracks:
            curves.setdefault(track.id, []).append((seconds, track.probabilities))
    return curves


def _pieces(curve: list[tuple[float, np.ndarray]]) -> list[list[tuple[float, np.ndarray]]]:
    pieces = [[curve[0]]]
    for before, point in zip(curve, curve[1:], strict=False):
        if point[0] - before[0] > BREAK:
            pieces.append([])
        pieces[-1].append(point)
    return pieces
