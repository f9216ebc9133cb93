import numpy as np
import pandas as pd
import pytest

from fer_utils.data import CLASSES
from fer_utils.evaluation import metrics
from fer_utils.figures import results

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 7, 200)
P = metrics.softmax(RNG.normal(size=(200, 7)) + 2 * np.eye(7)[LABELS])
SUMMARY = metrics.summary(LABELS, P)


def test_confusion_shows_percent_of_rows():
    fig = results.confusion_matrices({"A": metrics.confusion(LABELS, P.argmax(1))}, CLASSES)
    shown = np.array([int(text.get_text()) for text in fig.axes[0].texts]).reshape(7, 7)
    assert np.abs(shown.sum(1) - 100).max() <= 4 and len(fig.axes) == 1


def test_class_metrics_prints_every_number():
    fig = results.class_metrics(SUMMARY["per_class"], "A")
    assert len(fig.axes[0].texts) == 21
    assert fig.axes[0].texts[0].get_text() == f"{100 * SUMMARY['per_class']['Angry']['precision']:.0f}"


def test_curves_and_intervals_draw_every_run():
    table = pd.DataFrame({"epoch": [1, 2], "train_loss": [2, 1.0], "public_accuracy": [0.3, 0.5]})
    fig = results.learning_curves({"A": table, "B": table})
    assert [len(axis.lines) for axis in fig.axes] == [2, 2]
    fig = results.accuracy_intervals({"A": SUMMARY, "B": SUMMARY})
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["A", "B"]


@pytest.mark.parametrize("runs", [1, 3])
def test_reliability_and_speed(runs):
    panels = {f"m{i}": {"as trained": metrics.reliability(LABELS, P)} for i in range(runs)}
    drawn = results.reliability_diagram(panels, {title: {"as trained": 0.1} for title in panels}).axes
    assert [len(axis.lines) for axis in drawn if axis.axison] == [2] * runs
    assert drawn[0].get_legend().get_texts()[0].get_text() == "as trained\nECE 10.0 %"
    rows = [{"title": "m", "latency": 1.0 + i, "accuracy": 0.6, "megabytes": 12} for i in range(runs)]
    assert len(results.speed_accuracy(rows).axes[0].collections) == runs


def test_robustness_has_a_panel_for_each_change_that_starts_with_the_clean_faces():
    rows = [{"change": "none", "strength": 0, "setting": "as it is", "accuracy": 0.7}]
    rows += [
        {"change": change, "strength": s, "setting": setting.format(s / 2), "accuracy": 0.7 - s / 10}
        for change, setting in (("blur", "σ {} px"), ("low light", "{}%")) for s in range(1, 6)
    ]
    table = pd.DataFrame(rows)
    table["accuracy_low"], table["accuracy_high"] = table["accuracy"] - 0.02, table["accuracy"] + 0.02
    axes = results.robustness_curves({"A": table, "B": table}).axes
    assert [axis.get_title(loc="left") for axis in axes if axis.axison] == ["blur, σ px", "low light"]
    assert axes[0].lines[0].get_ydata() == pytest.approx([0.7, 0.6, 0.5, 0.4, 0.3, 0.2]) and len(axes[0].lines) == 2
    assert [label.get_text() for label in axes[1].get_xticklabels()] == ["–", "0.5%", "1.5%", "2.5%"]
    assert [text.get_text() for text in axes[2].get_legend().get_texts()] == ["A", "B"]


def test_balancing_has_a_panel_for_each_score_and_a_line_at_the_first_way():
    rows = [
        (way, score, value, value - 0.02, value + 0.02)
        for way, shift in (("as it is", 0), ("oversampling", 0.05), ("focal loss", -0.01))
        for score, value in (("accuracy", 0.6 + shift), ("macro-F1", 0.5 + shift))
    ]
    axes = results.balancing_intervals(pd.DataFrame(rows, columns=["way", "score", "value", "low", "high"])).axes
    assert [axis.get_title(loc="left") for axis in axes] == ["accuracy", "macro-F1"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["as it is", "oversampling", "focal loss"]
    assert list(axes[1].lines[0].get_xdata()) == [0.5, 0.5]
    assert [text.get_text() for text in axes[1].texts] == ["50.0", "55.0", "49.0"]
