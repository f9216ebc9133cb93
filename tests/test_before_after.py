"""Two networks on the same rows."""

import numpy as np
import pytest

from fer_utils import metrics
from fer_utils.before_after import class_changes, paired
from fer_utils.data import CLASSES

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(7), [60, 12, 60, 120, 70, 50, 80])


def answers(share):
    """Right on a share of the rows, a random class on the others."""
    return np.where(RNG.random(len(LABELS)) < share, LABELS, RNG.integers(0, 7, len(LABELS)))


def test_groups_are_tested_on_their_own_rows():
    before = answers(0.5)
    found = np.arange(len(LABELS)) % 4 > 0
    after = np.where(found, LABELS, before)  # all right where a face was found, unchanged elsewhere
    groups = {"all": np.full(len(LABELS), True), "found": found, "missed": ~found, "none": np.zeros(len(LABELS), bool)}
    table = paired(LABELS, before, after, groups)
    assert list(table.index) == ["all", "found", "missed"] and table.n.tolist() == [452, 339, 113]
    assert table.after["found"] == 1 and table.before["found"] == (before == LABELS)[found].mean()
    assert table.difference["missed"] == 0 and table.p_value["missed"] == 1 and table.p_value["found"] < 1e-20
    assert table.low["all"] < table.difference["all"] < table.high["all"]


def test_changes_of_a_class_hold_the_truth_in_their_interval():
    before, after = answers(0.5), answers(0.8)
    table = class_changes(LABELS, before, after)
    assert list(table.index) == list(CLASSES) and table.n.tolist() == np.bincount(LABELS).tolist()
    first, second = (metrics.per_class(metrics.confusion(LABELS, told))["f1"] for told in (before, after))
    assert table.before.to_numpy() == pytest.approx(first) and table.change.to_numpy() == pytest.approx(second - first)
    assert (table.low < table.change).all() and (table.change < table.high).all() and table.low["Happy"] > 0
    # A rare class is less certain.
    width = table.high - table.low
    assert width["Disgust"] > width["Happy"]


def test_the_interval_is_that_of_resampled_rows():
    before, after = answers(0.5), answers(0.7)
    draws = []
    for _ in range(1500):
        rows = RNG.integers(0, len(LABELS), len(LABELS))
        recall = [(told[rows] == 0)[LABELS[rows] == 0].mean() for told in (before, after)]
        draws.append(recall[1] - recall[0])
    table = class_changes(LABELS, before, after, score="recall")
    assert table.loc["Angry", ["low", "high"]].tolist() == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.03)


def test_unknown_score():
    with pytest.raises(ValueError, match="precision, recall or f1"):
        class_changes(LABELS, LABELS, LABELS, score="accuracy")
