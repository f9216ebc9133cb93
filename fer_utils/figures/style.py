"""One look for every figure, and one way to save it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fer_utils import paths
from fer_utils.data import COLORS

if TYPE_CHECKING:
    import PIL.Image
    from IPython.display import Image
    from matplotlib.figure import Figure

__all__ = ["ACCENT", "COLORS", "GRAY", "MUTED", "WIDTH", "save", "show", "use"]

WIDTH = 7.3  # inches; at DPI this is a README's 800 pixels
DPI = 110
LIMIT = 150_000  # bytes a picture may take in a notebook

ACCENT, GRAY, MUTED = "#0072B2", "#4D4D4D", "#BFBFBF"


def use() -> None:
    """Set matplotlib's defaults for the whole project."""
    import matplotlib as mpl

    mpl.rcParams.update({
        "figure.dpi": DPI, "savefig.dpi": DPI, "figure.figsize": (WIDTH, 4.0), "figure.constrained_layout.use": True,
        "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "axes.labelcolor": GRAY, "axes.edgecolor": MUTED, "xtick.color": GRAY, "ytick.color": GRAY,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
        "grid.color": "#E6E6E6", "grid.linewidth": 0.8, "image.cmap": "gray", "legend.frameon": False,
    })


def save(fig: Figure, name: str) -> Path:
    """Write `fig` as `<name>.png` into the figure folder (`FER_FIGURE`, default figure/), at most 150 kB.

    A picture over the limit gets a palette of 256 colours, then fewer, then fewer pixels. Returns the path.
    """
    from PIL import Image

    path = paths.figure_dir() / f"{name}.png"
    with paths.atomic(path) as temporary:
        fig.savefig(temporary, dpi=DPI, metadata={"Software": None})
        with Image.open(temporary) as picture:
            full = picture.convert("RGB")
        for colours, scale in ((256, 1.0), (96, 1.0), (96, 0.8), (64, 0.65), (48, 0.5)):
            if temporary.stat().st_size <= LIMIT:
                break
            size = (round(full.width * scale), round(full.height * scale))
            small = full.resize(size, Image.Resampling.LANCZOS)
            small.quantize(palette=_palette(small, colours), dither=Image.Dither.NONE).save(temporary, optimize=True)
    return path


def _palette(picture: PIL.Image.Image, colours: int) -> PIL.Image.Image:
    """The picture's main colours and those of the classes: among many faces a label's few pixels would lose theirs."""
    from PIL import Image

    kept = [value for color in (*COLORS.values(), ACCENT) for value in bytes.fromhex(color[1:])]
    room = colours - len(kept) // 3
    palette = Image.new("P", (1, 1))
    palette.putpalette(picture.quantize(room, dither=Image.Dither.NONE).getpalette()[: 3 * room] + kept)
    return palette


def show(fig: Figure, name: str) -> Image:
    """Save `fig` (see `save`), close it, and return the saved picture for a notebook: the same bytes in both places."""
    import matplotlib.pyplot as plt
    from IPython.display import Image

    path = save(fig, name)
    plt.close(fig)
    return Image(path)
