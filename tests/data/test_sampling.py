"""Sampling gives indices, keeps its promises on counts, and never reaches outside the samples it was given."""

from __future__ import annotations

import numpy as np
import pytest

from fer_utils import data

# FER2013's class proportions, a hundredth of its size, shuffled so that order cannot help.
COUNTS = {0: 40, 1: 4, 2: 41, 3: 72, 4: 48, 5: 32, 6: 50}


@pytest.fixture
def labels() -> np.ndarray:
    ordered = np.repeat(list(COUNTS), list(COUNTS.values())).astype(np.int8)
    return np.random.default_rng(0).permutation(ordered)


def counts(labels: np.ndarray, indices: np.ndarray) -> dict[int, int]:
    classes, rows = np.unique(labels[indices], return_counts=True)
    return dict(zip(classes.tolist(), rows.tolist(), strict=True))


@pytest.mark.parametrize(("method", "target", "expected"), [
    ("under", None, 4), ("over", None, 72), ("over", 100, 100), ("hybrid", None, 8989), ("hybrid", 41, 41),
])
def test_every_class_reaches_the_target(labels, method, target, expected):
    indices = data.resample(labels, method, target=target)
    assert indices.dtype == np.int64 and indices.ndim == 1
    assert indices.min() >= 0 and indices.max() < len(labels)
    assert counts(labels, indices) == dict.fromkeys(COUNTS, expected)


def test_under_repeats_none_over_keeps_all_hybrid_does_both(labels):
    indices = data.resample(labels, "under")
    assert len(np.unique(indices)) == len(indices)
    assert set(data.resample(labels, "over")) == set(range(len(labels)))
    indices = data.resample(labels, "hybrid", target=45)
    for label, rows in COUNTS.items():
        assert len(np.unique(indices[labels[indices] == label])) == min(rows, 45), f"class {label}"


def test_seed_decides_the_draw_and_labels_stay_as_they_were(labels):
    before = labels.copy()
    first = data.resample(labels, "hybrid", target=30, seed=1)
    np.testing.assert_array_equal(first, data.resample(labels, "hybrid", target=30, seed=1))
    assert not np.array_equal(first, data.resample(labels, "hybrid", target=30, seed=2))
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize(("method", "target", "name"), [
    ("smote", None, "method"), ("hybrid", 0, "target"), ("hybrid", 40.0, "target"),
    ("under", 5, "target must be .* from 1 to 4"), ("over", 71, "target must be .* from 72"),
])
def test_bad_options_are_named(labels, method, target, name):
    with pytest.raises(ValueError, match=name):
        data.resample(labels, method, target=target)


def test_bad_labels_are_named():
    empty, flat, unlabelled = np.array([], np.int8), np.zeros((3, 2), np.int8), np.array([0, 1, -1])
    for bad in (empty, flat, unlabelled, np.array([2, 2, 2]), np.array([0.0, 1.0])):
        with pytest.raises(ValueError, match="labels"):
            data.resample(bad, "over")


def test_resampling_after_the_split_leaves_the_test_samples_alone(labels):
    is_test = np.arange(len(labels)) % 5 == 0
    rows = np.flatnonzero(~is_test)
    for method in data.METHODS:
        assert not is_test[rows[data.resample(labels[rows], method)]].any(), method


@pytest.mark.real_data
def test_8989_is_happy_over_all_splits(real_data):
    counted = np.bincount(real_data.labels[real_data.labels >= 0])
    assert counted[3] == counted.max() == data.HYBRID_TARGET
