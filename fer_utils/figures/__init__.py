"""Every plot of the notebooks, in one style, a module for each topic; `save(fig, name)` writes it to figure/."""

from fer_utils.figures.style import COLORS, save, show, use

__all__ = ["COLORS", "save", "show", "use"]
