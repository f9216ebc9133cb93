"""Figure of two networks that differ in one thing, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fer_utils.figures.style import ACCENT, GRAY, MUTED, WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["class_changes"]


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
