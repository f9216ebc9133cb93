from __future__ import annotations

import numpy as np
import pytest

from fer_utils import data


def test_labels_are_smoothed():
    soft = data.soft_labels(np.array([1, 0]), None, smoothing=0.07)
    assert soft.dtype == np.float32 and soft.sum(1) == pytest.approx(1)
    assert soft[0, 1] == pytest.approx(0.94) and soft[0, 0] == pytest.approx(0.01)


def test_without_votes_or_weight_labels_stay_hard():
    for votes, weight in ((None, 0.3), (np.full((1, 10), 3, np.uint8), 0.0)):
        soft = data.soft_labels(np.array([2]), votes, weight=weight)
        assert np.array_equal(soft, np.eye(7, dtype=np.float32)[[2]])


def test_calibrated_votes_speak_fer2013s_language():
    """Where voters say "neutral" and the labels say Sad half of the time, so do the probabilities."""
    rng = np.random.default_rng(1)
    labels = rng.choice([0, 3, 4, 6], 2000, p=[0.1, 0.4, 0.25, 0.25])
    votes = np.zeros((2000, 10), np.uint8)
    votes[labels == 3, 1] = 10  # happiness
    votes[labels == 0, 4] = 10  # anger
    votes[(labels == 4) | (labels == 6), 0] = 10  # the voters see no sadness
    mapped = data.calibrated_votes(labels, votes)
    assert mapped.dtype == np.float32 and mapped.sum(1) == pytest.approx(1, abs=1e-5)
    assert (mapped[:, [1, 2, 5]] == 0).all()
    assert (mapped[labels == 3, 3] > 0.95).all() and (mapped[labels == 0, 0] > 0.9).all()
    assert mapped[votes[:, 0] > 0][:, [4, 6]] == pytest.approx(0.5, abs=0.05)
    blended = data.soft_labels(labels, votes, weight=0.5)
    assert blended == pytest.approx(0.5 * np.eye(7)[labels] + 0.5 * mapped, abs=1e-6)


@pytest.mark.parametrize("option, value", [("weight", -0.1), ("smoothing", 2.0)])
def test_shares_lie_within_0_and_1(option, value):
    with pytest.raises(ValueError, match=option):
        data.soft_labels(np.array([0]), None, **{option: value})
