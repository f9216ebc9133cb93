"""The real-time pipeline: probabilities over time, and where the milliseconds go."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from fer_utils.data import CLASSES, class_colors
from fer_utils.figures.style import GRAY, legend, panels

GAP = 0.3  # seconds; a longer gap in a track is drawn as a gap, where frames come more often
TRACKS = 4  # of a timeline
FPS = 30  # frames a second, for which a budget is marked


def timeline(moments: Sequence[tuple[float, Sequence]], *, title: str) -> Figure:
    """Draw the smoothed probabilities of the four longest tracks over time, as bands that fill 0–1.

    `moments`: (seconds, classified tracks) of each frame in order; a track has id (int), classes (FER2013's without),
    probabilities (float [K], 0–1).

    Examples
    --------
    >>> timeline(live.moments, title="Smoothed probabilities")
    """
    rows = [(seconds, track.id, *track.probabilities) for seconds, seen in moments for track in seen]
    classes = next((getattr(track, "classes", CLASSES) for _, seen in moments for track in seen), CLASSES)
    table = pd.DataFrame(rows, columns=["seconds", "track", *classes])
    gap = max(GAP, 2.5 * pd.Series([seconds for seconds, _ in moments], dtype=float).diff().median())
    longest = sorted(table["track"].value_counts().index[:TRACKS])
    figure, axes = panels(max(len(longest), 1), 1, height=0.9 + 1.6 * max(len(longest), 1), title=title, sharex=True)
    for axis, number in zip(axes[:, 0], longest, strict=False):
        own = table[table["track"] == number]
        for piece, part in own.groupby(own["seconds"].diff().gt(gap).cumsum()):
            axis.stackplot(part["seconds"], part[list(classes)].T, colors=class_colors(classes).values(), linewidth=0,
                           labels=classes if not piece else ())
        axis.set(ylim=(0, 1), yticks=(0, 0.5, 1), ylabel=f"track {number}")
        axis.grid(False)
    if not longest:
        axes[0, 0].set_title("no face was found")
    axes[-1, 0].set_xlabel("seconds")
    legend(figure, axes[0, 0], ncols=len(classes), handlelength=1)
    return figure


def stage_budget(stages: Mapping[str, np.ndarray], *, title: str) -> Figure:
    """Draw mean milliseconds by stage as two bars: detection frames and tracking frames; dashed: 30 frames a second.

    `stages`: stage → float [N], milliseconds of each frame; "detect" is above 0 in detection frames.

    Examples
    --------
    >>> stage_budget(summary.stages, title="Work for a frame, by stage")
    """
    table = pd.DataFrame(dict(stages))
    groups = table.groupby(np.where(table["detect"] > 0, "detection frames", "tracking frames"))
    means = groups.mean().loc[:, (table > 0).any()]
    means.index = [f"{name}\n(n = {n:,})" for name, n in groups.size().items()]
    figure, ((axis,),) = panels(1, 1, height=1.5 + 0.55 * len(means), title=title)
    # In the pipeline's order, and not a class's colour.
    colors = colormaps["viridis"](np.linspace(0, 1, means.shape[1]))
    means.plot.barh(stacked=True, ax=axis, color=colors, width=0.6, legend=False)
    totals = means.sum(axis=1)
    for row, total in enumerate(totals):
        axis.text(total, row, f"  {total:.1f} ms", va="center", color=GRAY)
    axis.axvline(1000 / FPS, color="black", linestyle="--", linewidth=1, label=f"{FPS} frames a second")
    axis.set(xlabel="mean milliseconds a frame", xlim=(0, 1.2 * max(totals.max(), 1000 / FPS)))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    legend(figure, axis, handlelength=1)
    return figure
