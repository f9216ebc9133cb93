from __future__ import annotations

import pytest

from fer_utils import figures
from fer_utils.figures import bench
from fer_utils.figures.style import ACCENT, MUTED

SCENES = [{"name": name, "title": name.upper()} for name in ("small-1", "small-4", "large-1", "large-4")]


def an_entry(title: str, fps: float, *, own: bool = False, labels: bool = True, status: str = "") -> dict:
    numbers = {"median_ms": 1000 / fps, "p95_ms": 1300 / fps, "fps": fps}
    return {
        "title": title, "own": own, "labels": labels, "status": status, "start_s": None if status else 1.5,
        "peak_mb": None if status else 400, "scenes": {} if status else {scene["name"]: numbers for scene in SCENES},
    }


def results(*entries: dict, scenes: int = 4) -> dict:
    return {"contenders": list(entries), "scenes": SCENES[:scenes]}


ALL = (
    an_entry("ours, detector", 60, own=True, labels=False), an_entry("ours", 50, own=True), an_entry("fer", 4),
    an_entry("absent", 1, status="did not start: no such module"),
)


def test_a_panel_for_each_scene_then_start_up_and_memory():
    axes = bench.overview(results(*ALL)).axes
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles == ["SMALL-1", "SMALL-4", "LARGE-1", "LARGE-4", "start to first label, seconds", "peak memory, MB"]
    assert [text.get_text() for text in axes[0].texts] == [" 50", " 4.0", " 60", "detection only "]
    assert axes[0].get_xscale() == "log" and axes[0].get_xlim() == axes[3].get_xlim()


def medians(axis) -> list[list[float]]:
    """The dots of a panel: milliseconds and row."""
    return axis.collections[-1].get_offsets().tolist()


def test_ours_is_coloured_detectors_stand_below_and_the_absent_have_no_dot():
    from matplotlib.colors import to_hex

    axis = bench.overview(results(*ALL)).axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["ours", "fer", "absent (did not start)", "ours, detector"]
    assert medians(axis) == [[pytest.approx(x), row] for x, row in ((20, 0), (250, 1), (1000 / 60, 3))]
    assert [to_hex(colour) for colour in axis.collections[-1].get_facecolors()] == [
        colour.lower() for colour in (ACCENT, MUTED, ACCENT)
    ]


def test_one_scene_leaves_the_other_panel_empty():
    axes = bench.overview(results(an_entry("ours", 30, own=True), scenes=1)).axes
    assert len(axes) == 4 and not axes[1].axison


def test_a_contender_that_missed_a_scene_has_no_dot_there():
    broken = an_entry("fer", 4)
    del broken["scenes"]["large-4"]
    axes = bench.overview(results(an_entry("ours", 30, own=True), broken)).axes
    assert [len(medians(axis)) for axis in axes[:4]] == [2, 2, 2, 1]


def test_nobody_is_an_error():
    with pytest.raises(ValueError, match="results: must hold at least one contender"):
        bench.overview(results(an_entry("absent", 1, status="left out: no model")))


def test_the_figure_can_be_saved_and_stays_out_of_pyplot():
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    assert 1000 < figures.save(bench.overview(results(*ALL)), "bench").stat().st_size <= 150_000
    assert plt.get_fignums() == before
