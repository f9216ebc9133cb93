"""Images side by side, and where landmarks lie."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from fer_utils.figures.style import GRAY, WIDTH, panels

POINT_COLORS = ("#882255", "#CC6677", "#999933", "#332288", "#6699CC")  # eyes red, nose olive, mouth blue


def face_grid(images: Sequence, *, title: str, rows: Sequence[str] = (), columns: Sequence[str] = (),
              captions: Sequence = (), points: Sequence[np.ndarray] = (), wrap: int | None = None) -> Figure:
    """Show images in rows and columns.

    Parameters
    ----------
    images : rows of uint8 or float [H, W] gray or uint8 [H, W, 3] RGB images, 0–255; rows may differ in length and size
    rows, columns : texts at the left of each row, above each column
    captions : texts below the images, nested as they are
    points : for each row float [images, 5, 2], landmarks (x, y) in the images' pixels
    wrap : `images` and `captions` are not nested, and are laid in lines of so many

    Examples
    --------
    >>> face_grid([fer.images[:8], augmented[:8]], rows=["before", "after"], title="Augmentation")
    """
    if wrap:
        lines_of = [slice(start, start + wrap) for start in range(0, max(len(images), 1), wrap)]
        images, captions = ([items[line] for line in lines_of] for items in (images, captions))
    count = wrap or max(*map(len, images), 4)  # at least four columns, so that faces do not get too large
    gap = 0.1  # inches between images
    side = (WIDTH - 0.8 * bool(len(rows))) / count - gap
    height = sum(side * np.divide(*row[0].shape[:2]) + gap for row in images if len(row)) + 0.3
    height += 0.2 * bool(len(columns))
    height += 0.17 * sum(1 + max(text.count("\n") for text in row) for row in captions if any(row))
    figure, axes = panels(len(images), count, height=max(height, 1), title=title)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.grid(False)
    for r, c in ((r, c) for r, row in enumerate(images) for c in range(len(row))):
        axis = axes[r, c]
        axis.imshow(images[r][c], cmap="gray", vmin=0, vmax=255, interpolation="nearest")  # as stored; and small files
        if len(points):
            axis.scatter(*np.asarray(points[r][c]).T, s=14, c=POINT_COLORS, edgecolors="white", linewidths=0.5)
        if len(captions):
            axis.set_xlabel(captions[r][c], fontsize=7.5, labelpad=2)
    for axis, text in zip(axes[:, 0], rows, strict=False):
        axis.set_ylabel(text, rotation=0, ha="right", va="center")
    for axis, text in zip(axes[0], columns, strict=False):
        axis.set_title(text, fontsize=8, loc="center", color=GRAY)
    return figure


def landmark_scatter(points: Mapping[str, np.ndarray], *, title: str) -> Figure:
    """Show where landmarks lie in the 48-pixel frame: for each of the five a cloud of 1,500 faces and the mean of all.

    `points`: panel → float [N, 5, 2], (x, y) in pixels; faces with NaN are left out.

    Examples
    --------
    >>> landmark_scatter({"before": marks.points, "after": moved}, title="Landmarks")
    """
    figure, axes = panels(1, len(points), height=WIDTH / len(points) + 0.2, title=title)
    for axis, (name, places) in zip(axes[0], points.items(), strict=True):
        places = places[np.isfinite(places).all(axis=(1, 2))]
        chosen = np.random.default_rng(2013).permutation(len(places))[:1500]
        for cloud, color in zip(places.transpose(1, 2, 0), POINT_COLORS, strict=True):
            axis.scatter(*cloud[:, chosen], s=2, color=color, alpha=0.25, linewidths=0)
            axis.scatter(*cloud.mean(axis=1), s=40, color="white", edgecolors="black", linewidths=1, zorder=3)
        axis.set(title=name, xlim=(0, 48), ylim=(48, 0), aspect="equal", xticks=(0, 24, 48), yticks=(0, 24, 48))
    return figure
