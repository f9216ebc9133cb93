"""Two models on the same images, and runs that differ in one thing."""

import numpy as np
import pandas as pd
import pytest
from stored_runs import LABELS

from fer_utils.data import CLASSES
from fer_utils.evaluation import Calibration, compare, per_class

RNG = np.random.default_rng(0)


def right_on(share):
    """Predictions that are right on a share of the images, random on the others."""
    return np.where(RNG.random(len(LABELS)) < share, LABELS, RNG.integers(0, 7, len(LABELS)))


def sure(predictions):
    return np.eye(7)[predictions] * 4


def test_pairs_are_tested_on_their_own_images():
    before = right_on(0.5)
    found = np.arange(len(LABELS)) % 4 > 0
    after = np.where(found, LABELS, before)  # all right where a face was found, unchanged elsewhere
    groups = {"all": slice(None), "found": found, "missed": ~found, "none": slice(0, 0)}
    table = compare.paired_tests({name: (LABELS[group], before[group], after[group]) for name, group in groups.items()})
    assert list(table.index) == ["all", "found", "missed"] and table.n.tolist() == [452, 339, 113]
    assert table.after["found"] == 1 and table.before["found"] == (before == LABELS)[found].mean()
    assert table.difference["missed"] == 0 and table.p_value["missed"] == 1 and table.p_value["found"] < 1e-20
    assert table.p_holm["found"] == pytest.approx(3 * table.p_value["found"])
    assert table.low["all"] < table.difference["all"] < table.high["all"]
    assert compare.paired_tests({}).empty


def test_class_changes_hold_the_truth_in_their_interval():
    before, after = right_on(0.5), right_on(0.8)
    table = compare.class_changes(LABELS, before, after)
    assert list(table.index) == list(CLASSES) and table.n.tolist() == np.bincount(LABELS).tolist()
    first, second = (per_class(LABELS, predictions).f1 for predictions in (before, after))
    assert table.before.equals(first.rename("before")) and table.change.to_numpy() == pytest.approx(second - first)
    assert (table.low < table.change).all() and (table.change < table.high).all() and table.low["Happy"] > 0
    width = table.high - table.low
    assert width["Disgust"] > width["Happy"]  # a rare class is less certain
    with pytest.raises(ValueError, match="statistic"):
        compare.class_changes(LABELS, before, after, score="accuracy")


@pytest.fixture
def methods(store):
    """A baseline whose calibration gives Disgust up, and two methods that find it."""
    calibration = Calibration(0.5, [1.0, -6.0, 1, 1, 1, 1, 1])
    baseline = store("resnet18", calibration(sure(LABELS)), calibration=calibration)
    others = {name: store(f"resnet18_{name}", sure(LABELS)) for name in ("over", "focal")}
    return {"baseline": baseline, **others}


def test_scores_before_and_after_calibration(methods):
    recall = {}
    for calibrated in (False, True):
        table = compare.scores(methods, calibrated=calibrated)
        assert len(table) == 15 and not table.isna().any(axis=None)
        recall[calibrated] = table[table.score == "recall of Disgust"].set_index("method")
    assert (recall[False].value == 1).all() and (recall[False].difference == 0).all()
    assert recall[True].value.tolist() == [0, 1, 1] and recall[True].difference.tolist() == [0, 1, 1]
    assert (table[table.score == "accuracy"].difference_low[5:] > 0).all()


def robustness_of(predictions):
    """As from `read_robustness`: the faces as they are, then a corruption in two severities."""
    table = pd.DataFrame({"corruption": ["none", "blur", "blur"], "severity": range(3), "predictions": predictions})
    table["setting"] = ["original", "σ 0.6 px", "σ 1.0 px"]
    table.attrs["labels"] = LABELS.tolist()
    return table


def test_robustness_is_compared_image_by_image():
    fixed = right_on(0.6)
    before, after = robustness_of([fixed, fixed, np.where(LABELS == 3, 0, fixed)]), robustness_of([fixed] * 3)
    table = compare.robustness_changes(before, after)
    assert table.severity.tolist() == [0, 1, 2] and (table.n == len(LABELS)).all()
    gained = ((fixed == LABELS) & (LABELS == 3)).mean()
    assert table.difference.tolist() == pytest.approx([0, 0, gained]) and 0 < table.low[2] < gained < table.high[2]


def test_robustness_on_other_images_is_not_compared():
    before = robustness_of([LABELS] * 3)
    other = robustness_of([LABELS] * 3)
    other.attrs["labels"] = LABELS[::-1].tolist()
    for after in (other, before.iloc[:2]):
        with pytest.raises(ValueError, match="after"):
            compare.robustness_changes(before, after)
