"""Sampling gives indices, keeps its promises on counts, and never reaches outside the rows it was given."""

from __future__ import annotations

import numpy as np
import pytest

from fer_utils.data import sampling

# FER2013's class proportions, a hundredth of its size, shuffled so that order cannot help.
COUNTS = {0: 40, 1: 4, 2: 41, 3: 72, 4: 48, 5: 32, 6: 50}


@pytest.fixture
def labels() -> np.ndarray:
    drawn = np.repeat(list(COUNTS), list(COUNTS.values())).astype(np.int8)
    return np.random.default_rng(0).permutation(drawn)


def counts(labels: np.ndarray, indices: np.ndarray) -> dict[int, int]:
    classes, rows = np.unique(labels[indices], return_counts=True)
    return dict(zip(classes.tolist(), rows.tolist(), strict=True))


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("under", None, 4),
        ("under", 3, 3),
        ("under", 1, 1),
        ("over", None, 72),
        ("over", 100, 100),
        ("hybrid", None, 8989),
        ("hybrid", 41, 41),
        ("hybrid", 2, 2),
        ("hybrid", 90, 90),
    ],
)
def test_every_class_reaches_the_target(labels, method, target, expected):
    indices = sampling.resample(labels, method, target=target)
    assert indices.dtype == np.int64 and indices.ndim == 1
    assert indices.min() >= 0 and indices.max() < len(labels)
    assert counts(labels, indices) == dict.fromkeys(COUNTS, expected)
    assert sampling.targets(labels, method, target=target) == dict.fromkeys(COUNTS, expected)


def test_under_repeats_no_row(labels):
    indices = sampling.resample(labels, "under")
    assert len(np.unique(indices)) == len(indices)


def test_over_keeps_every_row(labels):
    assert set(sampling.resample(labels, "over")) == set(range(len(labels)))


def test_hybrid_cuts_large_classes_and_grows_small_ones(labels):
    indices = sampling.resample(labels, "hybrid", target=45)
    for label, rows in COUNTS.items():
        unique = len(np.unique(indices[labels[indices] == label]))
        assert unique == min(rows, 45), f"class {label}"


def test_mapping_touches_only_the_classes_it_names(labels):
    indices = sampling.resample(labels, "hybrid", target={1: 20, 3: 50})
    assert counts(labels, indices) == COUNTS | {1: 20, 3: 50}


def test_target_equal_to_the_counts_gives_all_rows_back(labels):
    np.testing.assert_array_equal(sampling.resample(labels, "hybrid", target=COUNTS), np.arange(len(labels)))


def test_seed_decides_the_draw(labels):
    first = sampling.resample(labels, "hybrid", target=30, seed=1)
    np.testing.assert_array_equal(first, sampling.resample(labels, "hybrid", target=30, seed=1))
    assert not np.array_equal(first, sampling.resample(labels, "hybrid", target=30, seed=2))


def test_labels_are_left_as_they_were(labels):
    before = labels.copy()
    sampling.resample(labels, "hybrid", target=30)
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "smote"}, r"method must be one of under, over, hybrid; received 'smote'"),
        ({"method": "under", "target": 0}, "at least 1 row; received 0"),
        ({"method": "hybrid", "target": -5}, "at least 1 row; received -5"),
        ({"method": "hybrid", "target": 40.0}, "whole number .* received 40.0"),
        ({"method": "hybrid", "target": True}, "whole number .* received True"),
        ({"method": "under", "target": 5}, "at most the 4 rows of class 1 .* received 5"),
        ({"method": "over", "target": 71}, "at least the 72 rows of class 3 .* received 71"),
        ({"method": "over", "target": {1: 3}}, "at least the 4 rows of class 1"),
        ({"method": "hybrid", "target": {9: 3}}, r"class 9, which does not occur; classes are \[0, 1"),
    ],
)
def test_bad_options_are_named(labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        sampling.resample(labels, **arguments)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([], dtype=np.int8), r"labels .* received shape \(0,\)"),
        (np.zeros((3, 2), dtype=np.int8), r"labels .* received shape \(3, 2\)"),
        (np.array([0, 1, -1]), "received -1 .*drop those rows first"),
        (np.array([2, 2, 2]), "at least two classes; received only class 2"),
        (np.array([0.0, 1.0]), "whole numbers; received dtype float64"),
    ],
)
@pytest.mark.parametrize("method", sampling.METHODS)
def test_bad_labels_are_named(bad, message, method):
    with pytest.raises(ValueError, match=message):
        sampling.resample(bad, method)


def test_split_first_leaves_the_test_rows_alone(labels):
    """The right order: indices of the training rows can only ever name training rows."""
    is_test = np.arange(len(labels)) % 5 == 0
    rows = np.flatnonzero(~is_test)
    for method in sampling.METHODS:
        chosen = rows[sampling.resample(labels[rows], method)]
        assert not is_test[chosen].any(), method


def test_naive_split_puts_copies_on_both_sides(labels):
    train, test = sampling.resample_before_split(labels, "over", target=100, test_share=0.2)
    assert (len(train), len(test)) == (560, 140)
    assert counts(labels, test) == dict.fromkeys(COUNTS, 20)
    rare = test[labels[test] == 1]
    assert np.isin(rare, train).all(), "4 images drawn 100 times must stand on both sides"


def test_naive_split_of_undersampled_rows_shares_none(labels):
    train, test = sampling.resample_before_split(labels, "under", test_share=0.5)
    assert not np.isin(test, train).any()


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_naive_split_wants_a_share(labels, share):
    with pytest.raises(ValueError, match="test_share must be above 0 and below 1"):
        sampling.resample_before_split(labels, "over", test_share=share)


@pytest.mark.real_data
def test_8989_is_happy_over_all_splits(real_data):
    counted = np.bincount(real_data.labels[real_data.labels >= 0])
    assert counted[3] == counted.max() == sampling.HYBRID_TARGET
