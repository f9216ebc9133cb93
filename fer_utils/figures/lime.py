"""LIME's maps over faces, and whether the model reacts as they say."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from fer_utils.data import CLASSES
from fer_utils.figures.charts import curves as draw_curves
from fer_utils.figures.face_grids import face_grid

SCALE, UNSURE = "RdBu_r", 0.68  # red speaks for the class, blue against it, darker is more; gray: no more than noise


def overlays(images: Sequence[Sequence[np.ndarray]], values: Sequence[Sequence[np.ndarray | None]], *, title: str,
             ends: tuple[str, str] = ("against", "for"), percentile: float = 97, **grid: Any) -> Figure:
    """Show signed values over gray images, such as LIME's weights, in rows and columns.

    Parameters
    ----------
    images : rows of uint8 [H, W], gray 0–255
    values : nested alike, float [H, W] or None for the image alone; NaN (not above the noise, say) stays gray; all of
        a figure share one colour scale
    ends : what the scale's two ends mean
    percentile : of the absolute values, where the scale ends; a few extreme ones must not pale all others
    **grid : of `face_grid`, such as rows, columns, captions

    Examples
    --------
    >>> images, heat = zip(*((e.image, e.heat) for e in explanations))
    >>> overlays([images, images], [[None] * len(images), heat], rows=["face", "LIME's weights"], title="Angry")
    """
    figure = face_grid(images, title=title, **grid)
    figure.set_figheight(0.88 * figure.get_figheight())  # the scale at the right makes the images smaller
    axes = np.reshape(figure.axes, (len(images), -1))
    cells = [(axes[r, c], images[r][c], one) for r, row in enumerate(values) for c, one in enumerate(row)]
    cells = [cell for cell in cells if cell[2] is not None]
    limit = max(float(np.nanpercentile(np.abs([one for *_, one in cells]), percentile)), 1e-6)
    scale = ScalarMappable(Normalize(-limit, limit), SCALE)
    for axis, image, one in cells:
        color = np.where(np.isnan(one)[..., None], UNSURE, scale.to_rgba(one)[..., :3])
        # The face shades the colour a little: enough to see where one is, too little to change what it says.
        axis.imshow(color * (0.85 + 0.15 * image / 255)[..., None], interpolation="nearest")
    shrink = 0.6 if len(images) > 1 else 0.95
    bar = figure.colorbar(scale, ax=figure.axes, aspect=24, shrink=shrink, pad=0.01, extend="both")
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}\n{ends[0]}", "0", f"+{limit:.2g}\n{ends[1]}"], fontsize=8)
    return figure


def before_after(before: Sequence[Any], after: Sequence[Any], *, title: str) -> Figure:
    """Show faces and their LIME maps before and after alignment side by side, a row a face.

    `before`, `after`: `explain.Explanation`s of the same faces, in the same order.

    Examples
    --------
    >>> before_after([explain.explain(unaligned.predict, face, label=0)],
    ...              [explain.explain(aligned.predict, turned, label=0)], title="Angry")
    """
    images, values, captions = [], [], []
    for pair in zip(before, after, strict=True):
        images.append([one.image for one in pair for _ in range(2)])
        values.append([value for one in pair for value in (None, one.heat)])
        told = [f"{CLASSES[one.label]} {100 * one.prediction[one.label]:.0f} %" for one in pair]
        captions.append(["", told[0], "", told[1]])
    columns = ["before alignment", "LIME, before", "after alignment", "LIME, after"]
    return overlays(images, values, columns=columns, captions=captions, title=title, percentile=90)


def faithfulness_curves(share: np.ndarray, curves: np.ndarray, *, title: str) -> Figure:
    """Draw the class's mean probability while superpixels are hidden (left) and shown (right), against random order.

    `share`: float [K], share of the superpixels changed, 0–1. `curves`: float [N, 4, K], probability 0–1 of each face:
    deletion, insertion, and the same in random order; bands hold the middle half of the faces.

    Examples
    --------
    >>> faithfulness_curves(study.share, study.curves, title=f"Mean of {len(study)} faces")
    """
    areas = np.trapezoid(curves.mean(0), share)
    names = [f"{kind}: area {areas[number]:.2f}, in random order {areas[number + 2]:.2f}"
             for number, kind in enumerate(("Deletion", "Insertion"))]
    parts = []
    for number, curve in enumerate(np.swapaxes(curves, 0, 1)):
        low, high = np.percentile(curve, (25, 75), axis=0)
        order = ("LIME’s order", "random order")[number // 2]
        parts.append(pd.DataFrame({"share": 100 * share, "probability": curve.mean(0), "low": low, "high": high,
                                   "panel": names[number % 2], "order": order}))
    return draw_curves(pd.concat(parts), x="share", y="probability", series="order", panel="panel", title=title,
                       xlabel="superpixels hidden (left) or shown (right), percent", ylabel="probability of the label",
                       xlim=(0, 100), ylim=(0, 1))
