"""Figures of notebook 03: where MTCNN finds faces, how good its landmarks are, and what alignment changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.figures.data import head, subplots
from fer_utils.figures.style import ACCENT, COLORS, GRAY, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["class_rows", "distributions", "mean_change", "prepared", "rate_grid", "recipe_bars", "scatter", "spread_of",
           "whole_frames"]

POINT_COLORS = ("#D55E00", "#E69F00", "#009E73", "#0072B2", "#56B4E9")  # eyes warm, nose green, mouth blue


def recipe_bars(rates: Mapping[str, float], *, n: int, note: str = "") -> Figure:
    """Share of images with a face (0–1) by recipe, the first at the top; 95 % intervals of a share of `n` images."""
    figure, axes = subplots(1, 1, height=0.36 * len(rates) + 1.0)
    axis, place = axes[0, 0], np.arange(len(rates))[::-1]
    share = np.array(list(rates.values()))
    error = 1.96 * np.sqrt(share * (1 - share) / n)
    colors = [ACCENT if value == share.max() else MUTED for value in share]
    whiskers = {"ecolor": GRAY, "lw": 1, "capsize": 2}
    axis.barh(place, 100 * share, 0.62, color=colors, xerr=100 * error, error_kw=whiskers)
    for y, value, color in zip(place, share, colors, strict=True):
        ink = "white" if color == ACCENT else "black"
        axis.text(1, y, f"{100 * value:.1f} %", va="center", fontsize=8, color=ink)
    axis.set(yticks=place, yticklabels=list(rates), xlim=(0, 102), xlabel=f"images with a face, % of {n}")
    axis.grid(axis="y", visible=False)
    head(figure, f"What it takes to find a 48-px face{note}")
    return figure


def prepared(images: np.ndarray, enlarged: np.ndarray, points: np.ndarray, *, note: str = "") -> Figure:
    """Some images as they are and, below, padded and enlarged, with the landmarks found in them.

    images: uint8 [K, 48, 48].  enlarged: uint8 [K, S, S, 3].  points: [K, 5, 2] in pixels of `enlarged`.
    """
    figure, axes = subplots(2, len(images), height=2.4, height_ratios=(54, 72))
    for column, (image, large, face) in enumerate(zip(images, enlarged, points, strict=True)):
        side = len(large)
        axes[0, column].imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, 48, 48, 0))
        axes[0, column].set(xlim=(-12, 60), ylim=(51, -3))  # to the scale of the padded picture below
        axes[1, column].imshow(large, vmin=0, vmax=255)
        axes[1, column].scatter(face[:, 0], face[:, 1], s=9, c=POINT_COLORS, linewidths=0)
        axes[1, column].set(xlim=(0, side), ylim=(side, 0))
    _bare(axes)
    for axis, name in zip(axes[:, 0], ("as it is", "padded,\nenlarged"), strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    head(figure, f"A margin, and more pixels, for MTCNN{note}")
    return figure


def rate_grid(rates: np.ndarray, counts: np.ndarray, classes: Sequence[str], splits: Sequence[str], *,
              note: str = "") -> Figure:
    """Percent of images with a face by class (rows) and split (columns); below it, the number of images.

    rates: float [splits, classes], 0–1, NaN where there is no image.  counts: int [splits, classes].
    """
    figure, axes = subplots(1, 1, height=3.3)
    axis = axes[0, 0]
    low = min(90, 100 * np.nanmin(rates))
    axis.imshow(100 * rates.T, cmap="Blues", vmin=low, vmax=100 + (100 - low) * 0.6, aspect="auto")
    for row in range(len(classes)):
        for column in range(len(splits)):
            text = f"{100 * rates[column, row]:.1f} %   of {counts[column, row]:,}"
            axis.text(column, row, text, ha="center", va="center", fontsize=9)
    axis.set(xticks=range(len(splits)), xticklabels=splits, yticks=range(len(classes)), yticklabels=classes)
    axis.tick_params(length=0)
    axis.xaxis.tick_top()
    for label, name in zip(axis.get_yticklabels(), classes, strict=True):
        label.set(color=COLORS[name], fontweight="bold")
    axis.grid(False)
    axis.spines[:].set_visible(False)
    head(figure, f"Images in which MTCNN finds a face{note}")
    return figure


def distributions(values: Mapping[str, np.ndarray], *, note: str = "") -> Figure:
    """Histograms side by side, each between its 0.5th and 99.5th percentile, with its median as a line."""
    figure, axes = subplots(1, len(values), height=2.4)
    for axis, (name, data) in zip(axes[0], values.items(), strict=True):
        data = data[np.isfinite(data)]
        low, middle, high = np.percentile(data, (0.5, 50, 99.5))
        axis.hist(data, bins=np.linspace(low, high, 41), color=ACCENT, alpha=0.75)
        axis.axvline(middle, color=GRAY, lw=1.2)
        axis.set_title(f"median {middle:.2f}", fontsize=8, fontweight="normal", color=GRAY)
        axis.set_xlabel(name, fontsize=8)
        axis.set_yticks([])
        axis.tick_params(labelsize=8)
    head(figure, f"How good the landmarks are{note}")
    return figure


def scatter(before: np.ndarray, after: np.ndarray, *, note: str = "", seed: int = 2013) -> Figure:
    """Landmarks [N, 5, 2] in the 48-px frame before and after alignment, a cloud for each of the five points."""
    figure, axes = subplots(1, 2, height=3.5)
    for axis, points, name in zip(axes[0], (before, after), ("before", "after"), strict=True):
        points = points[np.isfinite(points).all(axis=(1, 2))]
        chosen = np.random.default_rng(seed).permutation(len(points))[:1500]
        for number, color in enumerate(POINT_COLORS):
            cloud = points[:, number]
            axis.scatter(*cloud[chosen].T, s=2, color=color, alpha=0.25, linewidths=0, rasterized=True)
            axis.scatter(*cloud.mean(axis=0), s=40, color="white", edgecolors="black", linewidths=1, zorder=3)
        spread = spread_of(points)
        axis.set_title(f"{name}: {spread:.2f} px from the mean", fontsize=9, fontweight="normal")
        axis.set(xlim=(0, 48), ylim=(48, 0), aspect="equal", xticks=(0, 24, 48), yticks=(0, 24, 48))
    head(figure, f"Where the five landmarks lie in the 48-px frame{note}")
    return figure


def spread_of(points: np.ndarray) -> float:
    """Root mean square distance in pixels of landmarks [N, 5, 2] from their mean place."""
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=2).mean()))


def class_rows(images: np.ndarray, labels: Sequence[str], *, title: str, points: np.ndarray | None = None,
               lines: Sequence[float] = ()) -> Figure:
    """Faces [R, C, 48, 48], a row for each label, with landmarks [R, C, 5, 2] and guide lines at heights `lines`."""
    rows, columns = images.shape[:2]
    # No wider than it needs to be: a picture of a notebook must stay below 150 kB, and faces do not compress.
    figure, axes = subplots(rows, columns, height=0.58 * rows + 0.35)
    figure.set_figwidth(0.58 * columns + 0.9)
    for place in np.ndindex(rows, columns):
        axis = axes[place]
        axis.imshow(images[place], cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
        if points is not None:
            axis.scatter(*points[place].T, s=4, c=POINT_COLORS, linewidths=0)
        for y in lines:
            axis.axhline(y, color="white", lw=0.5, alpha=0.55)
        axis.set(xlim=(-0.5, 47.5), ylim=(47.5, -0.5))
    _bare(axes)
    for axis, name in zip(axes[:, 0], labels, strict=True):
        color = COLORS.get(name, GRAY)
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, fontweight="bold", color=color)
    head(figure, title)
    return figure


def mean_change(before: np.ndarray, after: np.ndarray, labels: Sequence[str], *, note: str = "") -> Figure:
    """Mean faces [K, 48, 48] by class, before and after alignment."""
    figure, axes = subplots(2, len(labels), height=2.45)
    for row, faces in enumerate((before, after)):
        for axis, face in zip(axes[row], faces, strict=True):
            axis.imshow(face, cmap="gray", vmin=20, vmax=220, interpolation="bilinear")
    for axis, name in zip(axes[0], labels, strict=True):
        axis.set_title(name, fontsize=9, color=COLORS.get(name, GRAY))
    _bare(axes)
    for axis, name in zip(axes[:, 0], ("before", "after"), strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, fontweight="bold")
    head(figure, f"Mean faces before and after alignment{note}")
    return figure


def whole_frames(images: np.ndarray, captions: Sequence[str], *, columns: int = 10, note: str = "") -> Figure:
    """Images [K, 48, 48] that stay whole frames, each with its caption below."""
    rows = max(1, -(-len(images) // columns))
    figure, axes = subplots(rows, columns, height=0.95 * rows + 0.4)
    for axis, image, caption in zip(axes.flat, images, captions, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
        axis.set_xlabel(caption, fontsize=7, color=COLORS.get(caption, GRAY), labelpad=2)
    _bare(axes)
    head(figure, f"Images that stay whole frames{note}")
    return figure


def _bare(axes: np.ndarray) -> None:
    axis: Axes
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
