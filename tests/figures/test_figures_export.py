from __future__ import annotations

import numpy as np
from matplotlib.text import Text

from fer_utils import figures
from fer_utils.figures import export


def texts(figure) -> str:
    return "\n".join(item.get_text() for item in figure.findobj(Text))


def test_node_bars_name_both_counts() -> None:
    figure = export.node_bars({"A": 359, "B": 54}, {"B": 55, "A": 163}, note=" (note)")
    widths = {bar.get_width() for bar in figure.axes[0].patches}
    assert widths == {359, 54, 163, 55} and "163" in texts(figure) and "(note)" in texts(figure)
    assert figures.save(figure, "nodes").stat().st_size <= 150_000


def test_latency_ranges_show_median_and_tail() -> None:
    times = {"A": np.linspace(1, 3, 101), "B": np.full(101, 40.0)}
    figure = export.latency_ranges(times)
    assert "2.0 (p95 2.9) ms" in texts(figure) and "40.0 (p95 40.0) ms" in texts(figure)
    assert figure.axes[0].get_xlim()[1] > 40
    assert figures.save(figure, "latency").stat().st_size <= 150_000
