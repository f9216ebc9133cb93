"""One look for every figure, and one way to save it."""

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fer_utils import paths
from fer_utils.data import COLORS

DPI = 220  # pixels an inch
WIDTH = 1600 / DPI  # inches: twice the 800 pixels that a README shows
# What is not a class: Paul Tol's muted colours, colour-blind safe and apart from the classes' (Okabe and Ito's).
SERIES = ("#332288", "#CC6677", "#999933", "#882255", "#117733", "#AA4499")
ACCENT, GRAY, MUTED = SERIES[0], "#4D4D4D", "#BFBFBF"  # of these only ACCENT and GRAY are dark enough for text


def use() -> None:
    """Set Matplotlib's defaults for the whole project: `figures.use()` in a notebook's first cell."""
    mpl.rcParams.update({
        "figure.dpi": DPI / 2, "savefig.dpi": DPI, "figure.figsize": (WIDTH, 3.2), "image.cmap": "gray",
        "figure.titlesize": 11, "figure.titleweight": "bold", "figure.constrained_layout.use": True, "font.size": 9,
        "axes.titlesize": 9, "axes.titlelocation": "left", "axes.labelcolor": GRAY, "axes.edgecolor": MUTED,
        "xtick.labelcolor": GRAY, "ytick.labelcolor": GRAY, "xtick.color": MUTED, "ytick.color": MUTED,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
        "grid.color": "#E6E6E6", "legend.frameon": False, "axes.prop_cycle": mpl.cycler(color=SERIES),
    })


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """Name → "#RRGGBB": a class has its own colour, anything else the next of `SERIES`."""
    names = dict.fromkeys(names)
    others = [name for name in names if name not in COLORS]
    return {name: COLORS.get(name) or SERIES[others.index(name) % len(SERIES)] for name in names}


def panels(rows: int, columns: int, *, height: float, title: str, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure of README's width outside pyplot's list (Jupyter would show it twice), and its axes [rows, columns]."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(textwrap.fill(title, 82), x=0.01, ha="left")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def legend(figure: Figure, axis: Axes, **options: Any) -> None:
    """What an axis tells apart, below the whole figure; nothing where there is but one. Axes without data go."""
    handles, labels = axis.get_legend_handles_labels()
    if len(labels) > 1:
        options = {"ncols": min(len(labels), 5), "loc": "outside lower center", "fontsize": 8} | options
        figure.legend(handles, labels, **options)
    for other in figure.axes:
        if not other.has_data():
            other.set_axis_off()


def save(figure: Figure, name: str) -> Path:
    """Write a figure as <name>.png, twice 800 pixels wide, into the figure folder (`FER_FIGURE`); return its path."""
    path = paths.figure_dir() / f"{name}.png"
    with paths.atomic(path) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})
    return path


def show(figure: Figure, name: str) -> Image:
    """Save a figure as figure/<name>.png and return the picture for a notebook, shown half as wide as its pixels.

    Examples
    --------
    >>> figures.show(figures.face_grid([fer.images[:8]], title="Faces"), "fer")
    """
    path = save(figure, name)
    plt.close(figure)
    return Image(path, retina=True)
