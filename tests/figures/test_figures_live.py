from __future__ import annotations

import numpy as np
import pytest

from fer_utils import figures
from fer_utils.data import CLASSES
from fer_utils.figures import live
from fer_utils.realtime.tracker import Track

IMAGE = np.full((48, 64, 3), 120, np.uint8)


def a_moment(seconds: float, *numbers: int) -> tuple[float, list[Track]]:
    p = np.full(7, 0.1, np.float32)
    p[3] = 0.4
    return seconds, [Track((0, 0, 9, 9), 1, None, time=seconds, born=0, id=n, probabilities=p) for n in numbers]


def bands(axis) -> int:
    return len(axis.collections)


def test_strip_spreads_over_the_whole_time():
    fig = live.strip([(float(i), IMAGE) for i in range(11)], most=6, title="A clip")
    titles = [axis.get_title(loc="left") for axis in fig.axes]
    assert titles == ["0.0 s", "2.0 s", "4.0 s", "6.0 s", "8.0 s", "10.0 s"]
    assert fig.get_suptitle() == "A clip"
    assert len(live.strip([(0.0, IMAGE)]).axes[0].images) == 1
    with pytest.raises(ValueError, match="snapshots: must hold at least one"):
        live.strip([])


def test_timeline_has_a_panel_for_each_of_the_longest_tracks():
    moments = [a_moment(i / 25, 1, 2) if i < 50 else a_moment(i / 25, 1, 3) for i in range(80)]
    fig = live.timeline(moments, tracks=2, title="Probabilities")
    assert [axis.get_ylabel() for axis in fig.axes] == ["track 1", "track 2"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == list(CLASSES)
    assert bands(fig.axes[0]) == 7


def test_a_gap_stays_a_gap():
    moments = [a_moment(t, 1) for t in (0.0, 0.04, 0.08)] + [a_moment(t, 1) for t in (2.0, 2.04)]
    assert bands(live.timeline(moments).axes[0]) == 14


@pytest.mark.parametrize("moments", [[], [a_moment(0.0)], [a_moment(0.0, 1)]])
def test_timeline_of_little(moments, tmp_path):
    figures.save(live.timeline(moments), "timeline")


def test_stage_budget_splits_by_whether_the_detector_ran():
    stages = {"detect": np.array([10.0, 0, 0, 20]), "classify": np.array([4.0, 6, 8, 6]), "write": np.zeros(4)}
    axis = live.stage_budget(stages).axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["whole detector\n(2 frames)", "in between\n(2 frames)"]
    widths = {container.get_label(): [bar.get_width() for bar in container] for container in axis.containers}
    assert widths == {"detect": [15.0, 0.0], "classify": [5.0, 7.0]}
    assert {"  20.0 ms", "  7.0 ms"} <= {text.get_text() for text in axis.texts}


def test_figures_can_be_saved_and_stay_out_of_pyplot():
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    stages = {"detect": np.array([10.0, 12]), "classify": np.array([4.0, 5])}
    for fig in (live.strip([(0.0, IMAGE)]), live.timeline([a_moment(0.0, 1)]), live.stage_budget(stages)):
        assert figures.save(fig, "live").stat().st_size > 1000
    assert plt.get_fignums() == before
