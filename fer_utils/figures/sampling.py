"""Figures of notebook 02: what sampling does to the class counts, and what the wrong order does to a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.figures.data import bars, head, subplots
from fer_utils.figures.style import ACCENT, COLORS, GRAY, MUTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["order_flattery", "sampled_bars"]

WRONG, RIGHT = COLORS["Angry"], ACCENT


def sampled_bars(
    labels: np.ndarray,
    draws: Mapping[str, np.ndarray],
    classes: Sequence[str],
    *,
    columns: int = 2,
    target: int | None = None,
    note: str = "",
) -> Figure:
    """Rows of each class after sampling: different rows in full colour, repeated ones pale, left-out ones dashed.

    Args:
        labels: int[N], index into ``classes``, of the rows before sampling.
        draws: title of a panel → int[M] positions in ``labels``.
        classes: names of the classes.
        columns: panels side by side.
        target: marked by a line in every panel but the first.
        note: added to the title.
    """
    lines = -(-len(draws) // columns)
    figure, axes = subplots(lines, columns, height=0.35 + 2.15 * lines, sharex=True, sharey=True)
    before = np.bincount(labels, minlength=len(classes))
    after = [np.bincount(labels[rows], minlength=len(classes)) for rows in draws.values()]
    limit = 1.42 * max(before.max(), *(rows.max() for rows in after))
    for axis, (title, rows), count in zip(axes.flat, draws.items(), after, strict=False):
        unique = np.bincount(labels[np.unique(rows)], minlength=len(classes))
        bars(axis, count, classes, _sampled_text(count, unique), limit=limit, solid=unique, ghost=before)
        axis.set_title(f"{title}: {len(rows):,} rows", fontsize=9)
    if target is not None:
        for axis in axes.flat[1:]:
            axis.axvline(target, color=GRAY, linewidth=0.9, linestyle=":")
    for axis in axes.flat[len(draws) :]:
        axis.set_visible(False)
    head(figure, f"Full colour: different rows · pale: repeated · dashed: left out{note}")
    return figure


def order_flattery(
    scores: Mapping[str, Mapping[str, tuple[float, float, float]]], *, title: str, unit: str, note: str = ""
) -> Figure:
    """Each classifier's score in the wrong and in the right order, joined by a line: its length is the flattery.

    Args:
        scores: classifier → order → (score, low, high), each 0–1; all have the same two orders, wrong first.
        title: the title.
        unit: what is scored, below the axis.
        note: added to the title.
    """
    figure, axes = subplots(1, 1, height=0.9 + 0.62 * len(scores))
    axis = axes[0, 0]
    for place, orders in enumerate(scores.values()):
        (wrong, _, _), (right, _, _) = orders.values()
        axis.plot([100 * right, 100 * wrong], [place, place], color=MUTED, linewidth=2.5, zorder=1)
        middle = 50 * (wrong + right)
        axis.text(middle, place - 0.2, f"{100 * (wrong - right):+.1f} points", ha="center", fontsize=8.5, color=GRAY)
        for (order, (score, low, high)), color in zip(orders.items(), (WRONG, RIGHT), strict=True):
            axis.plot([100 * low, 100 * high], [place, place], color=color, linewidth=5, alpha=0.35, zorder=2)
            axis.plot(100 * score, place, "o", color=color, markersize=7, zorder=3, label=None if place else order)
            side = 1 if score == max(wrong, right) else -1
            edge = max(high, score + 0.01) if side > 0 else min(low, score - 0.01)  # beside interval and dot
            axis.annotate(f"{100 * score:.1f}", (100 * edge, place), (4 * side, 0), textcoords="offset points",
                          ha="left" if side > 0 else "right", va="center", fontsize=9, color=color, fontweight="bold")
    axis.set(xlim=(0, 100), ylim=(len(scores) - 0.5, -0.75))
    axis.set_yticks(range(len(scores)), list(scores), fontsize=9)
    axis.set_xlabel(unit, fontsize=8.5)
    axis.tick_params(length=0)
    axis.grid(False)
    axis.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[:].set_visible(False)
    axis.legend(loc="upper center", bbox_to_anchor=(0.4, 1.14), ncol=2, frameon=False, fontsize=9)
    head(figure, f"{title}{note}")
    return figure


def _sampled_text(counts: np.ndarray, unique: np.ndarray) -> list[str]:
    """The count, and how often each row stands there on average, where that is more than ×1.0."""
    return [
        f"{count:,}" + (f"  (each ×{count / different:.1f})" if count >= 1.05 * different > 0 else "")
        for count, different in zip(counts, unique, strict=True)
    ]
