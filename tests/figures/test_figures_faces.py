"""Figures of notebook 03 draw what they are given: faces, none, and a single one."""

from __future__ import annotations

import numpy as np
import pytest

from fer_utils import figures
from fer_utils.faces import TEMPLATE
from fer_utils.figures import faces as plots

CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 48, 48), dtype=np.uint8)
POINTS = TEMPLATE + RNG.normal(0, 2, (200, 5, 2))

DRAWN = {
    "recipes": lambda: plots.recipe_bars({"one": 0.5, "two": 1.0}, n=100, note=" (drawn)"),
    "prepared": lambda: plots.prepared(IMAGES, RNG.integers(0, 256, (7, 144, 144, 3), dtype=np.uint8), POINTS[:7]),
    "rates": lambda: plots.rate_grid(np.full((3, 7), 0.97), np.full((3, 7), 10), CLASSES, ("a", "b", "c")),
    "rates of an empty split": lambda: plots.rate_grid(
        np.vstack([np.full((2, 7), 1.0), np.full((1, 7), np.nan)]), np.zeros((3, 7), int), CLASSES, ("a", "b", "c")),
    "distributions": lambda: plots.distributions({"x": RNG.normal(size=99), "y": np.r_[np.nan, RNG.normal(size=50)]}),
    "scatter": lambda: plots.scatter(POINTS, np.tile(TEMPLATE, (200, 1, 1))),
    "rows": lambda: plots.class_rows(IMAGES[:, None], CLASSES, title="t", points=POINTS[:7, None], lines=(10, 20)),
    "means": lambda: plots.mean_change(IMAGES.astype(float), IMAGES.astype(float), CLASSES),
    "whole frames": lambda: plots.whole_frames(IMAGES, CLASSES, columns=4),
    "one whole frame": lambda: plots.whole_frames(IMAGES[:1], CLASSES[:1]),
    "no whole frame": lambda: plots.whole_frames(IMAGES[:0], ()),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.filterwarnings("error")
def test_figure_is_saved_small(name):
    figures.use()
    path = figures.save(DRAWN[name](), "test")
    assert 2_000 < path.stat().st_size <= 150_000


def test_titles_carry_the_note():
    assert DRAWN["recipes"]()._suptitle.get_text().endswith("(drawn)")


def test_best_recipe_stands_out():
    figure = plots.recipe_bars({"one": 0.5, "two": 0.9}, n=100)
    worse, better = (patch.get_facecolor() for patch in figure.axes[0].patches)
    assert worse != better


def test_spread_of_fixed_points_is_zero_and_of_known_ones_known():
    assert plots.spread_of(np.tile(TEMPLATE, (5, 1, 1))) == 0
    pair = np.stack([TEMPLATE + (3, 4), TEMPLATE - (3, 4)])
    assert plots.spread_of(pair) == pytest.approx(5)
