"""Figures show the numbers they were given, in colours and sizes that can be read, and are saved as they are shown."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image

from fer_utils import figures
from fer_utils.data import CLASSES
from fer_utils.figures import style

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (7, 48, 48), dtype=np.uint8)
POINTS = RNG.uniform(10, 40, (7, 5, 2))
COUNTS = pd.DataFrame({"before": [4, 2, 4, 8, 4, 4, 4], "after": [4, 6, 4, 6, 4, 4, 4]}, index=CLASSES)
DISTINCT = COUNTS.assign(after=[4, 2, 4, 6, 4, 4, 4])
SCORES = pd.DataFrame({
    "model": ["A", "A", "B", "B"], "score": ["accuracy", "F1"] * 2, "value": [70.1, 60, 65, 55],
    "low": [68.0, 58, 63, 53], "high": [72.0, 62, 67, 57],
})
CHANGES = SCORES.assign(panel=["scores", "change"] * 2, score=["before", "change", "before", "change"])
LONG = pd.DataFrame({
    "x": [0, 1, 2] * 4, "y": np.arange(12) / 12, "low": np.arange(12) / 12 - 0.1, "high": np.arange(12) / 12 + 0.1,
    "series": list("AAABBB") * 2, "panel": ["one"] * 6 + ["two"] * 6,
})
CORRUPTED = pd.DataFrame({
    "corruption": ["none"] + ["blur"] * 5 + ["dark"] * 5, "severity": [0, *range(1, 6), *range(1, 6)],
    "setting": ["original"] + [f"σ {at} px" for at in range(1, 6)] + [f"{at}0%" for at in range(1, 6)],
    "accuracy": [0.7, 0.6, 0.5, 0.4, 0.3, 0.2] * 1 + [0.65] * 5, "accuracy_low": 0.1, "accuracy_high": 0.8,
})
SHARE, STEPS = np.linspace(0, 1, 11), np.ones(11)
CURVES = np.tile(np.stack([1 - SHARE, SHARE, 0.5 * STEPS, 0.25 * STEPS]), (3, 1, 1))


def a_moment(seconds: float, *numbers: int) -> tuple[float, list[SimpleNamespace]]:
    return seconds, [SimpleNamespace(id=number, probabilities=np.full(7, 1 / 7)) for number in numbers]


DRAWN = {
    "bars": lambda: figures.bars(COUNTS, title="t", label="images"),
    "one row": lambda: figures.bars(COUNTS[:1], title="t", label="images", horizontal=True),
    "class counts": lambda: figures.class_counts(COUNTS, title="a very long title " * 9),
    "an empty split": lambda: figures.class_counts(COUNTS * [1, 0], title="t", columns=1),
    "sampled counts": lambda: figures.class_counts(
        COUNTS, title="t", distinct=DISTINCT, before=COUNTS["before"]),
    "intervals": lambda: figures.intervals(SCORES, row="model", value="value", series="score", title="t"),
    "one interval": lambda: figures.intervals(SCORES[:1], row="model", value="value", title="t"),
    "joined intervals": lambda: figures.intervals(
        CHANGES, row="model", value="value", series="score", panel="panel", joined=["scores"], references={"change": 0},
        title="t"),
    "curves": lambda: figures.curves(LONG, x="x", y="y", series="series", panel="panel", reference=(0, 1), title="t"),
    "one curve": lambda: figures.curves(LONG[:3][["x", "y"]], x="x", y="y", title="t"),
    "robustness": lambda: figures.robustness_curves({"A": CORRUPTED, "B": CORRUPTED}, title="t"),
    "heatmap": lambda: figures.heatmaps({"": 10 * COUNTS}, title="t", diagonal=True),
    "face grid": lambda: figures.face_grid([FACES, FACES[:2]], rows=["a", "b"], columns=CLASSES, title="t"),
    "no face": lambda: figures.face_grid(FACES[:0], captions=[], wrap=4, title="t"),
    "frames": lambda: figures.face_grid([np.zeros((48, 64, 3), np.uint8)] * 4, captions=["1 s"] * 4, wrap=3, title="t"),
    "landmarks": lambda: figures.landmark_scatter({"before": POINTS, "after": POINTS}, title="t"),
    "overlays": lambda: figures.overlays([FACES], [[None, *POINTS[:6, :1, :1]]], title="t"),
    "faithfulness": lambda: figures.faithfulness_curves(SHARE, CURVES, title="t"),
    "timeline": lambda: figures.timeline([a_moment(0.0, 1), a_moment(0.04, 1)], title="t"),
    "no track": lambda: figures.timeline([], title="t"),
    "stage budget": lambda: figures.stage_budget({"detect": np.array([9.0, 0]), "draw": np.ones(2)}, title="t"),
}


def texts(figure) -> list[str]:
    return [found.get_text() for found in figure.findobj(Text) if found.get_visible()]


def luminance(color) -> float:
    parts = np.array(to_rgb(color))
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))


def contrast(color, ground="white") -> float:
    """WCAG's contrast ratio of two colours."""
    darker, lighter = sorted((luminance(color), luminance(ground)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.fixture(autouse=True)
def _style():
    figures.use()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_saved_at_twice_readmes_width_and_can_be_read(name):
    figure = DRAWN[name]()
    path = style.save(figure, "test")
    with Image.open(path) as picture:
        assert picture.width == 1600 and picture.mode == "RGBA", "a palette would spoil colour scales"
    assert all(contrast(text.get_color()) >= 4.5 for text in figure.findobj(Text) if text.get_text())


def test_shown_is_what_was_saved_and_pyplot_keeps_nothing():
    from matplotlib import pyplot

    figure, _ = pyplot.subplots()
    shown = figures.show(figure, "plain")
    assert (style.paths.figure_dir() / "plain.png").read_bytes() == shown.data and shown.width == 800
    assert not pyplot.get_fignums()


def test_a_class_keeps_its_colour_and_nothing_else_gets_it():
    colors = style.colors_of(["Xception", "Happy", "ResNet-18", "Xception"])
    assert colors["Happy"] == style.COLORS["Happy"] and len(colors) == 3
    assert not set(style.SERIES) & set(style.COLORS.values()) and tuple(style.COLORS) == CLASSES


def test_bars_write_their_numbers():
    axis = DRAWN["bars"]().axes[0]
    assert [text.get_text() for text in axis.texts] == [str(n) for name in COUNTS for n in COUNTS[name]]


def test_counts_show_shares_or_copies():
    assert {" 8 · 26.7 %", "before: 30 images"} <= set(texts(DRAWN["class counts"]()))
    figure = DRAWN["sampled counts"]()
    said = [text for text in texts(figure) if "×" in text or "of" in text]
    assert said == [" 6 (×3.0)", " 6 of 8"], "only the grown class repeats, only the cut one leaves images out"


def test_intervals_span_low_to_high_and_name_the_value():
    axis = DRAWN["intervals"]().axes[0]
    (first, *_), *_ = (container.lines[2][0].get_segments() for container in axis.containers)
    assert first[:, 0].tolist() == pytest.approx([68, 72])
    assert [text.get_text() for text in axis.texts] == ["70.1", "65.0", "60.0", "55.0"]
    left, right = DRAWN["joined intervals"]().axes
    assert len(left.containers[0].lines[0].get_xdata()) == 2 and not left.lines[-1].get_linestyle() == "--"
    assert 0 in [line.get_xdata()[0] for line in right.lines]


def test_curves_have_a_panel_a_line_a_series_and_a_band():
    first, second = DRAWN["curves"]().axes
    assert [line.get_ydata()[0] for line in second.lines[1:]] == pytest.approx([0.5, 0.75])
    assert len(first.collections) == 2 and first.get_title(loc="left") == "one"
    assert all(float(tick).is_integer() for tick in first.get_xticks()), "no tick between two epochs"


def test_every_corruption_starts_with_the_original_images():
    blur, dark, *_ = DRAWN["robustness"]().axes
    assert blur.lines[0].get_ydata().tolist() == pytest.approx([70, 60, 50, 40, 30, 20])
    assert dark.lines[0].get_ydata()[0] == pytest.approx(70) and "50%" in dark.get_title(loc="left")


def test_the_darkest_cell_can_be_read():
    figure = figures.heatmaps({"A": pd.DataFrame([[100.0, 0], [0, 100]])}, title="t")
    axis = figure.axes[0]
    figure.draw_without_rendering()
    assert [text.get_text() for text in axis.texts] == ["100", "0", "0", "100"]
    assert min(contrast(axis.texts[0].get_color(), color) for color in axis.collections[0].get_facecolors()) >= 4.5


def test_faces_stand_where_they_belong():
    axes = np.reshape(figures.face_grid([FACES, FACES[:2]], points=[POINTS, POINTS[:2]], title="t").axes, (2, 7))
    assert (axes[1, 1].images[0].get_array() == FACES[1]).all() and not axes[1, 2].images
    assert axes[0, 6].collections[-1].get_offsets().tolist() == POINTS[6].tolist()


def test_captioned_faces_are_wrapped():
    axes = figures.face_grid(FACES, captions=list(CLASSES), wrap=4, title="t").axes
    assert len(axes) == 8 and axes[4].get_xlabel() == "Sad" and (axes[6].images[0].get_array() == FACES[6]).all()


def test_overlays_show_sign_and_strength_on_one_scale():
    weights = np.zeros((1, 2, 6, 6))
    weights[0, 0, :, :5] = 0.2, -0.2, 0.1, 0, np.nan
    weights[0, 1, :, 0] = 0.1
    first, second, *_, bar = figures.overlays([[np.full((6, 6), 128)] * 2], weights, title="t").axes
    strong, against, weak, none, unsure = first.images[-1].get_array()[0, :5]
    assert strong[0] > strong[2] and against[2] > against[0], "red for, blue against"
    assert strong.mean() < weak.mean() < none.mean(), "the more, the darker"
    assert np.ptp(unsure) == 0 and unsure[0] < none.min() - 0.1, "noise is gray, not white"
    assert (second.images[-1].get_array()[0, 0] == weak).all(), "one scale for the whole figure"
    assert "+0.2" in " ".join(text.get_text() for text in bar.get_yticklabels())


def test_before_and_after_stand_side_by_side():
    heat = np.where(POINTS[0, :1, :1] > 0, np.full((48, 48), 0.1), np.nan)
    prediction = np.array([0.96, 0.04, 0, 0, 0, 0, 0])
    before, after = (SimpleNamespace(image=face, heat=heat, label=label, prediction=prediction)
                     for face, label in ((FACES[0], 0), (FACES[1], 1)))
    figure = figures.before_after([before] * 3, [after] * 3, title="t")
    axes = np.reshape(figure.axes[:12], (3, 4))
    assert (axes[2, 0].images[0].get_array() == FACES[0]).all() and (axes[2, 2].images[0].get_array() == FACES[1]).all()
    assert [axis.get_xlabel() for axis in axes[0]] == ["", "Angry 96 %", "", "Disgust 4 %"]


def test_faithfulness_names_the_areas():
    assert {"Deletion: area 0.50, in random order 0.50", "Insertion: area 0.50, in random order 0.25"} <= set(
        texts(DRAWN["faithfulness"]()))


def test_landmarks_leave_missing_faces_out():
    axis = figures.landmark_scatter({"a": np.concatenate([POINTS, np.full((1, 5, 2), np.nan)])}, title="t").axes[0]
    assert axis.collections[1].get_offsets()[0].tolist() == pytest.approx(POINTS[:, 0].mean(0).tolist())


def test_timeline_has_a_panel_for_each_of_the_longest_tracks_and_gaps_stay(monkeypatch):
    monkeypatch.setattr("fer_utils.figures.realtime.TRACKS", 2)
    moments = [a_moment(i / 25, 1, *([2] if i < 50 else [3])) for i in range(80)] + [a_moment(9.0, 1), a_moment(9.1, 1)]
    axes = figures.timeline(moments, title="t").axes
    assert [axis.get_ylabel() for axis in axes] == ["track 1", "track 2"]
    assert [len(axis.collections) for axis in axes] == [14, 7]
    sampled = figures.timeline([a_moment(2.0 * i, 1) for i in range(5)], title="t").axes
    assert [len(axis.collections) for axis in sampled] == [7], "two seconds from frame to frame are no gap"


def test_stage_budget_splits_by_whether_the_detector_ran():
    stages = {"detect": np.array([10.0, 0, 0, 20]), "classify": np.array([4.0, 6, 8, 6]), "write": np.zeros(4)}
    axis = figures.stage_budget(stages, title="t").axes[0]
    assert {bars.get_label(): [bar.get_width() for bar in bars] for bars in axis.containers} == {
        "detect": [15, 0], "classify": [5, 7]}
    assert {"  20.0 ms", "  7.0 ms"} <= set(texts(axis.figure))
