"""Figures of two networks that differ in one thing: class by class, and on faces made worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fer_utils.figures.results import strength_panels
from fer_utils.figures.style import ACCENT, GRAY, MUTED, WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["class_changes", "robustness_changes"]


def class_changes(
    table: pd.DataFrame, title: str, *, sides: Sequence[str] = ("before", "after"), note: str = ""
) -> Figure:
    """A class a line: its score before and after on the left, the change with its 95 % interval on the right.

    `table` as `before_after.class_changes` gives it. `sides` names the two networks.
    """
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, 0.9 + 0.34 * len(table)), sharey=True, width_ratios=(3, 2)
    )
    for row, (before, after) in enumerate(table[["before", "after"]].to_numpy()):
        left.plot([before, after], [row, row], color=MUTED, linewidth=2, zorder=1)
    places = range(len(table))
    left.scatter(table["before"], places, color=GRAY, s=28, label=sides[0], zorder=2)
    left.scatter(table["after"], places, color=ACCENT, s=28, label=sides[1], zorder=2)
    right.axvline(0, color=MUTED, linewidth=1)
    for row, (change, low, high) in enumerate(table[["change", "low", "high"]].to_numpy()):
        sure = low > 0 or high < 0
        right.plot([low, high], [row, row], color=ACCENT if sure else GRAY, linewidth=2, solid_capstyle="round")
        right.plot(change, row, "o", color=ACCENT if sure else GRAY, markersize=5)
        right.annotate(
            f"{100 * change:+.1f}", (change, row), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=8,
            color=GRAY,
        )
    left.set_yticks(places, [f"{name} (n = {n})" for name, n in table["n"].items()])
    left.set_ylim(len(table) - 0.5, -0.7)
    for axis in (left, right):
        axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
        axis.grid(axis="y", visible=False)
    left.set_xlabel("percent")
    right.set_xlabel("change, points, 95 % interval")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8.5)
    fig.suptitle(f"{title}{note}", x=0.01, ha="left", fontsize=11, weight="bold")
    return fig


def robustness_changes(table: pd.DataFrame, title: str, *, note: str = "") -> Figure:
    """After − before in points of accuracy, a panel a change, by its strength, with 95 % intervals; 0 is no difference.

    `table` as `before_after.robustness_changes` gives it. Strengths whose interval leaves out 0 are drawn in colour.
    """
    from matplotlib.lines import Line2D

    fig, panels, spare = strength_panels(table)
    for change, axis in panels.items():
        axis.axhline(0, color=MUTED, linewidth=1)
        part = table[(table["change"] == change) | (table["strength"] == 0)].sort_values("strength")
        for strength, difference, low, high in part[["strength", "difference", "low", "high"]].to_numpy():
            color = ACCENT if low > 0 or high < 0 else GRAY
            axis.plot([strength] * 2, [low, high], color=color, linewidth=2, solid_capstyle="round")
            axis.plot(strength, difference, "o", color=color, markersize=4)
        axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}")
    marks = [Line2D([], [], color=color, marker="o", markersize=4, linewidth=2) for color in (ACCENT, GRAY)]
    spare.legend(marks, ["interval leaves out 0", "may be chance"], loc="center", fontsize=8.5)
    fig.suptitle(f"{title}{note}", x=0.01, ha="left", fontsize=11, weight="bold")
    return fig
