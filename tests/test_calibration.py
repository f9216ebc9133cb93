"""Shift and temperature: chosen on given rows, folded into the last layer, and undone again."""

import keras
import numpy as np
import pytest

from fer_utils import calibration, metrics
from fer_utils.calibration import Calibration

RNG = np.random.default_rng(2013)
COUNTS = np.array([400, 44, 410, 720, 480, 320, 500.0])
PRIOR = COUNTS / COUNTS.sum()


def rows(n=4000, bias=1.0, sharpness=1.0):
    """Labels drawn from PRIOR and logits that know them only partly, with `bias` times the log prior on top."""
    labels = RNG.choice(7, n, p=PRIOR)
    return labels, sharpness * (RNG.normal(size=(n, 7)) + 1.5 * np.eye(7)[labels] + bias * np.log(PRIOR))


def test_a_network_that_overrates_frequent_classes_is_shifted():
    labels, logits = rows(bias=2.0)
    chosen = calibration.choose(labels, logits, COUNTS)
    assert 0.3 <= chosen.shift <= 1.0 and chosen.frequency == pytest.approx(PRIOR)
    before, after = (metrics.scores(metrics.confusion(labels, each.argmax(1))) for each in (logits, chosen(logits)))
    assert after["macro_f1"] > before["macro_f1"] + 0.03
    assert after["accuracy"] + after["macro_f1"] > before["accuracy"] + before["macro_f1"]


def test_a_network_without_that_habit_is_not_shifted_much():
    labels, logits = rows(bias=0.0)
    assert calibration.choose(labels, logits, COUNTS).shift <= 0.2


@pytest.mark.parametrize("sharpness", [0.4, 3.0])
def test_temperature_brings_confidence_to_accuracy(sharpness):
    labels, logits = rows(sharpness=sharpness)
    chosen = calibration.choose(labels, logits, COUNTS)
    assert (chosen.temperature > 1) == (sharpness > 1)
    before, after = (metrics.ece(labels, metrics.softmax(each)) for each in (logits, chosen(logits)))
    assert after < before and after < 0.04


def test_undo_and_fold_agree_with_the_call():
    chosen = Calibration(0.3, 1.7, tuple(PRIOR))
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7, name="logits")])
    inputs = RNG.normal(size=(6, 5)).astype(np.float32)
    logits = np.asarray(model(inputs))
    assert chosen.undo(chosen(logits)) == pytest.approx(logits, abs=1e-5)
    calibration.fold(chosen, model)
    assert np.asarray(model(inputs)) == pytest.approx(chosen(logits), abs=1e-5)


@pytest.mark.parametrize("labels, logits, counts, words", [
    ([], np.zeros((0, 7)), COUNTS, "at least 1"), ([1], np.zeros((2, 7)), COUNTS, "same number of rows"),
    ([1], np.zeros((1, 7)), np.zeros(7), "every class"),
])
def test_bad_input(labels, logits, counts, words):
    with pytest.raises(ValueError, match=words):
        calibration.choose(np.array(labels, int), logits, counts)
