"""Figures of notebook 07: what simplification removes, and how long a face takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.figures.data import head, subplots
from fer_utils.figures.style import ACCENT, GRAY, MUTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["latency_ranges", "node_bars"]


def node_bars(before: Mapping[str, int], after: Mapping[str, int], *, note: str = "") -> Figure:
    """Nodes of each graph as converted (pale) and simplified (full), by network."""
    figure, axes = subplots(1, 1, height=0.45 * len(before) + 0.9)
    axis, place = axes[0, 0], np.arange(len(before))[::-1]
    pale = axis.barh(place + 0.19, list(before.values()), 0.36, color=MUTED, label="as converted")
    full = axis.barh(place - 0.19, [after[name] for name in before], 0.36, color=ACCENT, label="simplified")
    for bars in (pale, full):
        axis.bar_label(bars, fontsize=8, padding=3, color=GRAY)
    axis.set(yticks=place, yticklabels=list(before), xlabel="nodes of the graph")
    axis.grid(axis="y", visible=False)
    axis.margins(x=0.08)
    axis.legend(fontsize=8, loc="lower right")
    head(figure, f"ONNX graphs before and after simplification{note}")
    return figure


def latency_ranges(times: Mapping[str, np.ndarray], *, limit: float = 1000 / 30, note: str = "") -> Figure:
    """Milliseconds for one face by network: the single times, their median (line) and 95th percentile (tick).

    `times`: name → float [repeats], ms. `limit`: a dashed line, default one frame at 30 frames a second.
    """
    figure, axes = subplots(1, 1, height=0.45 * len(times) + 1.0)
    axis, rng = axes[0, 0], np.random.default_rng(0)
    for place, (_, values) in zip(range(len(times))[::-1], times.items(), strict=True):
        axis.scatter(values, place + rng.uniform(-0.16, 0.16, len(values)), s=9, color=ACCENT, alpha=0.3, lw=0)
        median, p95 = np.percentile(values, (50, 95))
        axis.plot([median] * 2, [place - 0.3, place + 0.3], color=ACCENT, lw=2.5)
        axis.plot([p95] * 2, [place - 0.2, place + 0.2], color=GRAY, lw=1.2)
        axis.annotate(f"{median:.1f} (p95 {p95:.1f}) ms", (median, place + 0.24), fontsize=8, color=GRAY,
                      xytext=(5, 0), textcoords="offset points", va="bottom")
    axis.axvline(limit, color=GRAY, lw=1, ls=(0, (4, 3)))
    axis.annotate("one frame at 30/s", (limit, -0.55), fontsize=8, color=GRAY, ha="right", xytext=(-4, 0),
                  textcoords="offset points")
    longest = max(float(np.percentile(values, 99)) for values in times.values())
    axis.set(yticks=range(len(times))[::-1], yticklabels=list(times), ylim=(-0.7, len(times) - 0.3),
             xlim=(0, 1.15 * max(longest, limit)), xlabel="milliseconds for one face")
    axis.grid(axis="y", visible=False)
    head(figure, f"One face at a time through ONNX Runtime{note}")
    return figure
