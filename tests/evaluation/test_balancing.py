"""Ways to counter the imbalance, compared from recorded runs."""

import numpy as np
import pytest

from fer_utils.evaluation import balancing, runs
from fer_utils.training.config import BALANCING, RECIPES

LABELS = np.repeat([0, 1, 2, 3], [40, 10, 20, 30])


class Nothing:
    weights = ()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_MODELS", str(tmp_path))

    def write(way, logits, bias=(0.0,) * 7):
        data, labels = {"public": logits, "private": logits}, {"public": LABELS, "private": LABELS}
        facts = {"parameters": 1, "mflops": 1, "calibration": {"temperature": 0.5, "bias": bias}}
        history = [{"epoch": 1, "public_accuracy": 0.1}]
        runs.write_run(RECIPES[f"mobilenet_v3_large_{way}"], history, data, labels, facts, Nothing(), folder=tmp_path)

    return write


def sure(answers):
    return np.eye(7)[answers] * 4


def test_every_way_has_a_title():
    assert list(balancing.TITLES) == list(BALANCING)


def test_scores_and_their_intervals():
    answers = LABELS.copy()
    answers[40:46] = 0  # Disgust: 4 of 10
    found = balancing.scores(LABELS, answers)
    assert found["accuracy"][0] == pytest.approx(0.94) and found["balanced accuracy"][0] == pytest.approx(0.85)
    value, low, high = found["recall of Disgust"]
    assert value == pytest.approx(0.4) and 0 < low < 0.4 < high < 1
    assert found["recall of Fear"] == (1, 1, 1)
    none = balancing.scores(np.zeros(5, int), np.zeros(5, int))["recall of Disgust"]
    assert none[0] == 0 and np.isnan(none[1:]).all()


def test_runs_are_compared_as_trained_and_as_calibrated(folder):
    folder("over", sure(LABELS))
    # Calibration lowered Disgust: (logits + bias) / temperature, which is what a run records.
    bias = np.array([1.0, -6.0, 1, 1, 1, 1, 1])
    folder("plain", (sure(LABELS) + bias) / 0.5, tuple(bias))
    ways = balancing.recorded_ways()
    assert list(ways) == ["as it is", "oversampling"]
    recall = {}
    for calibrated in (False, True):
        table = balancing.compare(ways, calibrated=calibrated)
        assert list(table.columns) == ["way", "score", "value", "low", "high"] and len(table) == 10
        recall[calibrated] = table[table["score"] == "recall of Disgust"].set_index("way")["value"].to_dict()
    assert recall == {False: {"as it is": 1, "oversampling": 1}, True: {"as it is": 0, "oversampling": 1}}


def test_changes_against_the_first_way(folder):
    answers = LABELS.copy()
    answers[40:50] = 0  # Disgust is never found
    folder("plain", sure(answers))
    folder("over", sure(LABELS))
    table = balancing.changes(balancing.recorded_ways())
    assert list(table.columns) == ["way", "score", "change", "low", "high"] and set(table["way"]) == {"oversampling"}
    found = table.set_index("score")["change"]
    assert found["accuracy"] == pytest.approx(0.1) and found["balanced accuracy"] == pytest.approx(0.25)
    assert (table["low"] > 0).all()
    assert balancing.changes({"as it is": balancing.recorded_ways()["as it is"]}).empty
