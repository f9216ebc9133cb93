"""Figures of notebook 06: what LIME says spoke for a class, and how far it can be trusted."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.figures.data import head, subplots
from fer_utils.figures.style import ACCENT, COLORS, GRAY, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fer_utils.explain.faithfulness import Faithfulness
    from fer_utils.explain.lime import Explanation

__all__ = ["caption", "class_maps", "faithfulness_curves", "region_bars", "seed_maps"]

HEAT = "RdBu_r"  # red speaks for the class, blue against it
OUTLINE = "#FFC20A"
COLUMNS = 5


def caption(explanation: Explanation, truth: str, classes: Sequence[str]) -> str:
    """Three lines above a face: its label, what it was taken for, and which class, how probable, the map explains."""
    shown, said = classes[explanation.label], classes[int(explanation.prediction.argmax())]
    mark = "recognized" if said == truth else f"taken for {said}"
    return f"labelled {truth},\n{mark}\nmap: {shown}, {100 * explanation.prediction[explanation.label]:.0f} %"


def class_maps(
    explanations: Sequence[Explanation], captions: Sequence[str], *, title: str, top: int = 5, note: str = ""
) -> Figure:
    """Faces in columns; in rows the face, LIME's weights over it, and its strongest superpixels alone.

    Parameters
    ----------
    explanations : one for each column, at least one. Each map has its own colour scale; its end stands below the map.
    captions : a text of one to three lines above each column.
    top : how many superpixels the last row shows.
    title, note : the title and what is added to it (`Fer2013.title_note`).
    """
    # At least five columns, so that faces are equally large in every figure.
    figure, axes = _grid(3, max(len(explanations), COLUMNS), height=4.75)
    for axis in axes[:, len(explanations) :].flat:
        axis.set_visible(False)
    for column, explanation, caption in zip(axes.T, explanations, captions, strict=False):
        column[0].imshow(explanation.image, cmap="gray", vmin=0, vmax=255)
        column[0].set_title(caption, fontsize=7.5, fontweight="normal", loc="center")
        limit = _limit([explanation])
        _heat(column[1], explanation, limit)
        column[1].set_xlabel(f"± {limit:.2g}", fontsize=7.5, color=GRAY, labelpad=2)
        _strongest(column[2], explanation, top)
    names = ("the face", "LIME’s weights", f"the {top} strongest\nfor the class")
    for axis, text in zip(axes[:, 0], names, strict=True):
        axis.set_ylabel(text, fontsize=9, color=GRAY)
    _scale(figure, axes)
    head(figure, title + note)
    return figure


def seed_maps(
    rows: Sequence[Sequence[Explanation]], captions: Sequence[str], *, title: str, note: str = ""
) -> Figure:
    """One face a row, one seed a column: LIME's weights, to be compared along the row.

    `rows`: for each face its explanations, the same number each; a row has one colour scale. `captions`: a text to the
    left of each row.
    """
    figure, axes = _grid(len(rows), 1 + len(rows[0]), height=1.5 * len(rows) + 0.5)
    for row, explanations, caption in zip(axes, rows, captions, strict=True):
        limit = _limit(explanations)
        row[0].imshow(explanations[0].image, cmap="gray", vmin=0, vmax=255)
        row[0].set_ylabel(caption, fontsize=9, rotation=0, ha="right", va="center", color=GRAY)
        for axis, explanation in zip(row[1:], explanations, strict=True):
            _heat(axis, explanation, limit)
    for axis, explanation in zip(axes[0, 1:], rows[0], strict=True):
        axis.set_title(f"seed {explanation.seed}", fontsize=9, fontweight="normal", loc="center")
    _scale(figure, axes)
    head(figure, title + note)
    return figure


def faithfulness_curves(tests: Sequence[Faithfulness], *, title: str, note: str = "") -> Figure:
    """Mean probability of the class while superpixels are hidden (left) and shown (right), against random order.

    Bands hold the middle half of the faces. `tests`: one for each face, with the same number of steps.
    """
    figure, axes = subplots(1, 2, height=3.1, sharey=True)
    share = 100 * tests[0].share
    for axis, kind, verb in zip(axes[0], ("deletion", "insertion"), ("hidden", "shown"), strict=True):
        for name, color, text in ((kind, ACCENT, "LIME’s order"), (f"random_{kind}", GRAY, "random order")):
            curves = np.stack([getattr(test, name) for test in tests])
            area = np.mean([test.area(name) for test in tests])
            axis.plot(share, curves.mean(0), color=color, lw=2, label=f"{text}, area {area:.2f}")
            axis.fill_between(share, *np.percentile(curves, (25, 75), axis=0), color=color, alpha=0.15, lw=0)
        axis.set(xlabel=f"superpixels {verb}, %", xlim=(0, 100), ylim=(0, 1))
        axis.set_title(f"{kind.capitalize()}: superpixels are {verb}", fontsize=10)
        axis.legend(fontsize=8, loc="upper right" if kind == "deletion" else "lower right")
    axes[0, 0].set_ylabel("probability of the class")
    head(figure, title + note)
    return figure


def region_bars(
    shares: Mapping[str, np.ndarray], area: np.ndarray, regions: Sequence[str], *, title: str, note: str = ""
) -> Figure:
    """Share of the positive weight in each part of the face, by class, against the part's share of the pixels.

    `shares`: class name → float [regions], mean over its faces. `area`: float [regions], mean over all of them.
    """
    from matplotlib.patheffects import withStroke

    figure, axes = subplots(1, 1, height=3.0)
    axis, place = axes[0, 0], np.arange(len(regions))
    width = 0.8 / max(len(shares), 1)
    for number, (name, share) in enumerate(shares.items()):
        offset = (number - (len(shares) - 1) / 2) * width
        bars = axis.bar(place + offset, 100 * share, width * 0.92, color=COLORS.get(name, ACCENT), label=name)
        labels = axis.bar_label(bars, fmt="%.0f", fontsize=8, padding=1, color=GRAY, zorder=4)
        for label in labels:  # a number may lie on the dashed line
            label.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    for x, part in zip(place, area, strict=True):
        label = "share of the pixels" if x == 0 else None
        axis.plot([x - 0.42, x + 0.42], [100 * part] * 2, color="black", lw=1.5, ls=(0, (3, 2)), label=label)
    axis.set(xticks=place, xticklabels=[textwrap.fill(region, 11) for region in regions], ylabel="positive weight, %")
    axis.grid(axis="x", visible=False)
    axis.margins(y=0.15)
    axis.legend(fontsize=8, ncols=len(shares) + 1, loc="upper left")
    head(figure, title + note)
    return figure


def _grid(rows: int, columns: int, *, height: float) -> tuple[Figure, np.ndarray]:
    figure, axes = subplots(rows, columns, height=height)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
    return figure, axes


def _limit(explanations: Sequence[Explanation]) -> float:
    """Half the range of the colour scale. A single extreme superpixel must not pale all others."""
    return max(float(np.percentile(np.abs(np.concatenate([e.weights for e in explanations])), 99)), 1e-6)


def _heat(axis: Axes, explanation: Explanation, limit: float) -> None:
    from matplotlib import colormaps

    share = np.clip(explanation.heat / limit, -1, 1)
    color = colormaps[HEAT](share / 2 + 0.5)
    # Weak weights let the face through, strong ones cover it.
    color[..., 3] = 0.75 * np.abs(share) ** 0.7
    axis.imshow(explanation.image, cmap="gray", vmin=-60, vmax=300)
    axis.imshow(color, interpolation="nearest")


def _strongest(axis: Axes, explanation: Explanation, top: int) -> None:
    mask = explanation.mask(top)
    shown = np.where(mask, explanation.image, 150 + explanation.image * 0.2)
    axis.imshow(shown, cmap="gray", vmin=0, vmax=255)
    if mask.any():
        axis.contour(np.pad(mask, 1)[1:-1, 1:-1], levels=[0.5], colors=OUTLINE, linewidths=1.3)


def _scale(figure: Figure, axes: np.ndarray) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = figure.colorbar(ScalarMappable(Normalize(-1, 1), HEAT), ax=axes, aspect=24, shrink=0.6, pad=0.01)
    bar.set_ticks([-1, 0, 1], labels=["against", "0", "for"])
    bar.outline.set_edgecolor(MUTED)
    bar.ax.tick_params(labelsize=7.5, length=0)
