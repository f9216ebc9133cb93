"""The figures of notebook 02 show the counts and scores they were given."""

from __future__ import annotations

import numpy as np
import pytest

from fer_utils.data import CLASSES
from fer_utils.figures import sampling as plots


def texts(figure) -> list[str]:
    from matplotlib.text import Text

    return [found.get_text() for found in figure.findobj(Text)]


@pytest.fixture
def labels() -> np.ndarray:
    return np.repeat(np.arange(7), [4, 2, 4, 8, 4, 4, 4])


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_sampled_bars_tell_repeats_from_different_images(labels, columns):
    rare = np.flatnonzero(labels == 1)
    draws = {"before": np.arange(len(labels)), "grown": np.concatenate([np.arange(len(labels)), rare, rare])}
    said = texts(plots.sampled_bars(labels, draws, CLASSES, columns=columns, note=" (note)"))
    assert "before: 30 rows" in said and "grown: 34 rows" in said
    assert "6  (each ×3.0)" in said
    assert sum("each" in text for text in said) == 1, "only the grown class repeats"
    assert any("(note)" in text for text in said)


def test_sampled_bars_mark_the_target_behind_the_first_panel(labels):
    everything = np.arange(len(labels))
    first, second = plots.sampled_bars(labels, {"a": everything, "b": everything}, CLASSES, target=5).axes
    assert not first.lines
    assert [line.get_xdata()[0] for line in second.lines] == [5]


def test_order_flattery_writes_the_difference():
    scores = {
        "memory": {"wrong": (0.786, 0.77, 0.80), "right": (0.404, 0.38, 0.42)},
        "linear": {"wrong": (0.30, 0.29, 0.31), "right": (0.32, 0.30, 0.34)},
    }
    said = texts(plots.order_flattery(scores, title="Title", unit="balanced accuracy, %", note=" (note)"))
    assert {"+38.2 points", "-2.0 points", "78.6", "40.4", "30.0", "32.0", "wrong", "right"} <= set(said)
    assert "Title (note)" in said
