"""Biases and temperature: fitted on given rows, folded into the last layer, and undone again."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

from fer_utils.evaluation import Calibration, metrics

RNG = np.random.default_rng(2013)
PRIOR = np.array([400, 44, 410, 720, 480, 320, 500.0]) / 2874


def rows(n=4000, bias=0.0, sharpness=1.0):
    """Labels drawn from PRIOR, and logits that know them only partly, with `bias` on top."""
    labels = RNG.choice(7, n, p=PRIOR)
    return labels, sharpness * (RNG.normal(size=(n, 7)) + 1.5 * np.eye(7)[labels] + np.log(PRIOR)) + bias


def test_a_wrong_preference_is_found_and_helps_on_other_rows():
    wrong = np.array([0.5, -2.0, -1.0, 1.0, 0.0, 0.5, 1.0])
    chosen = Calibration.fit(*rows(bias=wrong))
    assert sum(chosen.bias) == pytest.approx(0, abs=1e-9)
    labels, logits = rows(bias=wrong)
    before, after = (metrics.summary(labels, softmax(each, axis=1)) for each in (logits, chosen(logits)))
    assert after["macro_f1"] > before["macro_f1"] + 0.05 and after["accuracy"] > before["accuracy"] + 0.05
    # Put back on the network's own scale, the biases are the ones that were wrong.
    right = Calibration.fit(*rows(40_000))
    found = np.array(Calibration.fit(*rows(40_000, bias=wrong)).bias) - np.array(right.bias)
    assert found == pytest.approx(-wrong, abs=0.25)


@pytest.mark.parametrize("sharpness", [0.4, 3.0])
def test_temperature_brings_confidence_to_accuracy(sharpness):
    chosen = Calibration.fit(*rows(sharpness=sharpness))
    assert (chosen.temperature > 1) == (sharpness > 1)
    labels, logits = rows(sharpness=sharpness)
    before, after = (metrics.ece(labels, softmax(each, axis=1)) for each in (logits, chosen(logits)))
    assert after < before and after < 0.03


def test_the_given_rows_cross_entropy_cannot_be_lowered():
    labels, logits = rows(500, bias=np.arange(7) / 3, sharpness=2.0)
    chosen = Calibration.fit(labels, logits)

    def loss(each):
        return -np.log(softmax(each(logits), axis=1)[np.arange(500), labels]).mean()

    best = loss(chosen)
    for _ in range(50):
        bias = chosen.bias + RNG.normal(size=7) / 20
        near = Calibration(chosen.temperature * np.exp(RNG.normal() / 20), bias.tolist())
        assert loss(near) >= best - 1e-6


def test_a_class_without_rows_keeps_its_logit():
    labels, logits = rows(300)
    seen = labels != 1
    chosen = Calibration.fit(labels[seen], logits[seen])
    assert chosen.bias[1] == 0 and np.isfinite(chosen.bias).all() and sum(chosen.bias) == pytest.approx(0, abs=1e-9)


def test_undo_and_fold_agree_with_the_call():
    chosen = Calibration(1.7, (0.3, 0.2, 0.1, 0.0, -0.1, -0.2, -0.3))
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7, name="logits")])
    inputs = RNG.normal(size=(6, 5)).astype(np.float32)
    logits = np.asarray(model(inputs))
    assert chosen.inverse(chosen(logits)) == pytest.approx(logits, abs=1e-5)
    chosen.fold_into_head(model)
    assert np.asarray(model(inputs)) == pytest.approx(chosen(logits), abs=1e-5)


@pytest.mark.parametrize("labels, logits", [([], np.zeros((0, 7))), ([1], np.zeros((2, 7)))])
def test_bad_input(labels, logits):
    with pytest.raises(ValueError, match="^labels:"):
        Calibration.fit(np.array(labels, int), logits)
