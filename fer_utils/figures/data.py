"""Figures of notebook 01: what FER2013 holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.figures.style import COLORS, GRAY, MUTED, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "bars", "brightness_contrast", "captioned_faces", "class_grid", "head", "label_bars", "mean_faces", "subplots",
    "vote_heatmap",
]


def class_grid(
    images: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    columns: int = 10,
    seed: int = 2013,
    note: str = "",
) -> Figure:
    """Faces drawn at random, a row for each class.

    Args:
        images: uint8[N, 48, 48], gray 0–255.
        labels: int[N], index into ``classes``; rows with -1 are not shown.
        classes: names of the classes, in the order of the labels.
        columns: faces a class (fewer are shown where the class has fewer).
        seed: decides which faces.
        note: added to the title (``Fer2013.title_note``).
    """
    import matplotlib as mpl

    # 40 grays look like 256 at this size, and keep the picture at full width below the size limit of `style.save`.
    grays, smooth = mpl.colormaps["gray"].resampled(40), {"interpolation": "bilinear", "interpolation_stage": "data"}
    figure, axes = subplots(len(classes), columns, height=0.66 * len(classes) + 0.4)
    rng = np.random.default_rng(seed)
    for row, name in zip(axes, classes, strict=True):
        members = np.flatnonzero(labels == classes.index(name))
        chosen = rng.choice(members, min(columns, len(members)), replace=False)
        for axis, index in zip(row, chosen, strict=False):
            axis.imshow(images[index], cmap=grays, vmin=0, vmax=255, **smooth)
        _name_row(row[0], name)
    _bare(axes)
    head(figure, f"{columns} faces of each class, drawn at random{note}")
    return figure


def label_bars(counts: np.ndarray, classes: Sequence[str], splits: Sequence[str], *, note: str = "") -> Figure:
    """Rows of each class in each split, with the class's share of the split.

    Args:
        counts: int[splits, classes] as from ``Fer2013.counts()``.
        classes, splits: names, in the order of the two axes.
        note: added to the title.
    """
    figure, axes = subplots(1, len(splits), height=2.7, sharey=True)
    for axis, name, row in zip(axes[0], splits, counts, strict=True):
        share = 100 * row / max(row.sum(), 1)
        text = [f"{n:,} · {part:.1f} %" for n, part in zip(row, share, strict=True)]
        bars(axis, row, classes, text, limit=1.75 * max(row.max(), 1))
        axis.set_title(f"{name}: {row.sum():,} rows", fontsize=9)
    head(figure, f"Label distribution by split{note}")
    return figure


def mean_faces(images: np.ndarray, labels: np.ndarray, classes: Sequence[str], *, note: str = "") -> Figure:
    """The mean face of each class, and where it is brighter or darker than the mean of the classes.

    Args:
        images: uint8[N, 48, 48], gray 0–255.
        labels: int[N], index into ``classes``.
        classes: names of the classes.
        note: added to the title.
    """
    means = np.stack([images[labels == label].mean(0) for label in range(len(classes))])
    difference = means - means.mean(0)
    limit = np.ceil(np.abs(difference).max())
    figure, axes = subplots(2, len(classes), height=2.75)
    for column, name in enumerate(classes):
        axes[0, column].imshow(means[column], cmap="gray", vmin=0, vmax=255)
        shown = axes[1, column].imshow(difference[column], cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes[0, column].set_title(name, fontsize=9, color=COLORS[name], fontweight="bold")
    _bare(axes)
    _name_row(axes[0, 0], "mean", color=GRAY)
    _name_row(axes[1, 0], "minus mean\nof classes", color=GRAY)
    bar = figure.colorbar(shown, ax=axes[1, :], orientation="horizontal", shrink=0.4, aspect=40, pad=0.04)
    bar.set_label("darker  ←  gray levels  →  brighter", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    head(figure, f"Mean face of each class{note}")
    return figure


def brightness_contrast(images: np.ndarray, labels: np.ndarray, classes: Sequence[str], *, note: str = "") -> Figure:
    """Brightness (mean) and contrast (standard deviation) of the single images, by class, as box plots.

    Boxes hold the middle half of the images, whiskers the middle 90 %; the median stands beside each box.

    Args:
        images: uint8[N, 48, 48], gray 0–255.
        labels: int[N], index into ``classes``.
        classes: names of the classes.
        note: added to the title.
    """
    flat = images.reshape(len(images), -1).astype(np.float32)
    figure, axes = subplots(1, 2, height=2.7, sharey=True)
    for axis, values, name in zip(
        axes[0], (flat.mean(1), flat.std(1)), ("brightness (mean)", "contrast (standard deviation)"), strict=True
    ):
        groups = [values[labels == label] for label in range(len(classes))]
        _boxes(axis, groups, classes)
        axis.set_xlabel(f"{name}, gray levels", fontsize=8)
    head(figure, f"Brightness and contrast of the images{note}")
    return figure


def captioned_faces(
    images: np.ndarray, captions: Sequence[str], *, title: str, columns: int = 8, note: str = ""
) -> Figure:
    """A row of faces with a caption of one or two lines below each.

    Args:
        images: uint8[N, 48, 48], gray 0–255, at most ``columns`` are shown.
        captions: N texts.
        title: the title.
        columns: places in the row; those without a face stay empty.
        note: added to the title.
    """
    figure, axes = subplots(1, columns, height=0.65 + WIDTH / columns)
    for axis, image, caption in zip(axes[0], images, captions, strict=False):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
        axis.set_xlabel(caption, fontsize=8)
    _bare(axes)
    head(figure, f"{title}{note}")
    return figure


def vote_heatmap(shares: np.ndarray, classes: Sequence[str], votes: Sequence[str], *, note: str = "") -> Figure:
    """What most FER+ voters said (columns) for images of each FER2013 label (rows), in percent of the row.

    Args:
        shares: float[classes, votes], each row adding up to 1.
        classes: names of the rows.
        votes: names of the columns; where the first columns stand for the classes in the same order, the diagonal is
            the agreement and gets a frame.
        note: added to the title.
    """
    import seaborn as sns
    from matplotlib.patches import Rectangle

    figure, axes = subplots(1, 1, height=3.3)
    axis = axes[0, 0]
    sns.heatmap(
        100 * shares, ax=axis, vmin=0, vmax=100, cmap="Blues", cbar=False, annot=True, fmt=".0f",
        annot_kws={"fontsize": 8.5}, xticklabels=votes, yticklabels=classes,
    )
    for label in range(len(classes)):
        axis.add_patch(Rectangle((label, label), 1, 1, fill=False, edgecolor=GRAY, linewidth=1.4))
    axis.tick_params(length=0, labelsize=8.5)
    axis.tick_params(axis="both", rotation=0)
    axis.set_xlabel("what most FER+ voters said", fontsize=8.5)
    axis.set_ylabel("FER2013's label", fontsize=8.5)
    head(figure, f"Second opinion on the labels: percent of each row, agreement framed{note}")
    return figure


def subplots(rows: int, columns: int, *, height: float, **options: object) -> tuple[Figure, np.ndarray]:
    """A figure of README's width that belongs to the caller (no pyplot state), and its axes as a 2-D array."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def head(figure: Figure, text: str) -> None:
    """The figure's title, at its left edge like the other figures'."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=11, fontweight="bold")


def _bare(axes: np.ndarray) -> None:
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)


def _name_row(axis: Axes, name: str, *, color: str | None = None) -> None:
    axis.set_ylabel(
        name, rotation=0, ha="right", va="center", fontsize=9, fontweight="bold", color=color or COLORS.get(name, GRAY)
    )


def bars(
    axis: Axes,
    counts: np.ndarray,
    classes: Sequence[str],
    text: Sequence[str],
    *,
    limit: float,
    solid: np.ndarray | None = None,
    ghost: np.ndarray | None = None,
) -> None:
    """Horizontal bars in the classes' colours with the text at their ends.

    Args:
        axis: where to draw.
        counts: int[classes], length of the bars.
        classes: names, top to bottom.
        text: stands at the end of each bar.
        limit: right end of the axis.
        solid: int[classes], how much of each bar has full colour; the rest is pale.
        ghost: int[classes], a dashed outline where it is longer than the bar.
    """
    places = np.arange(len(classes))
    colors = [COLORS[name] for name in classes]
    ends = counts if ghost is None else np.maximum(ghost, counts)
    axis.barh(places, np.where(ends > counts, ends, 0), color="none", edgecolor=MUTED, linestyle="--", linewidth=0.9)
    axis.barh(places, counts, color=colors, alpha=0.3)
    axis.barh(places, counts if solid is None else solid, color=colors)
    for place, end, words in zip(places, ends, text, strict=True):
        axis.text(end + 0.02 * limit, place, words, va="center", fontsize=8, color=GRAY)
    axis.set_yticks(places, classes, fontsize=8.5)
    axis.set(xlim=(0, limit), xticks=[], ylim=(len(classes) - 0.45, -0.55))
    axis.tick_params(length=0)
    axis.grid(False)
    axis.spines[["top", "right", "bottom"]].set_visible(False)


def _boxes(axis: Axes, groups: Sequence[np.ndarray], classes: Sequence[str]) -> None:
    drawn = axis.boxplot(
        groups, orientation="horizontal", whis=(5, 95), showfliers=False, widths=0.6, patch_artist=True,
        positions=range(len(classes)), medianprops={"color": "white", "linewidth": 1.6},
    )
    for box, name in zip(drawn["boxes"], classes, strict=True):
        box.set(facecolor=COLORS[name], edgecolor=COLORS[name])
    for part in (*drawn["whiskers"], *drawn["caps"]):
        part.set_color("#8C8C8C")
    top = max(np.percentile(group, 95) for group in groups)
    for place, group in enumerate(groups):
        axis.text(1.05 * top, place, f"{np.median(group):.0f}", va="center", fontsize=8, color=GRAY)
    axis.text(1.05 * top, -0.75, "median", va="center", ha="center", fontsize=8, color=GRAY)
    axis.set_yticks(range(len(classes)), classes, fontsize=8.5)
    axis.set(xlim=(0, 1.15 * top), ylim=(len(classes) - 0.4, -1.0))
    axis.tick_params(length=0, labelsize=8)
    axis.grid(False)
    axis.spines[["top", "right"]].set_visible(False)
