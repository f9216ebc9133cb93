import numpy as np
import pytest
from sklearn import metrics as reference

from fer_utils.evaluation import metrics

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 7, 400)
LOGITS = RNG.normal(size=(400, 7)) + 2 * np.eye(7)[LABELS]
P = metrics.softmax(LOGITS)
ANSWERS = P.argmax(1)


def test_summary_equals_scikit_learn():
    got = metrics.summary(LABELS, P)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(LABELS, ANSWERS, average="weighted")
    assert got["n"] == 400 and got["accuracy"] == pytest.approx(reference.accuracy_score(LABELS, ANSWERS))
    assert [got["precision"], got["recall"], got["f1"]] == pytest.approx([precision, recall, f1])
    assert got["macro_f1"] == pytest.approx(reference.f1_score(LABELS, ANSWERS, average="macro"))
    assert got["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(LABELS, ANSWERS))
    assert got["accuracy_low"] < got["accuracy"] < got["accuracy_high"]
    assert np.array_equal(metrics.confusion(LABELS, ANSWERS), reference.confusion_matrix(LABELS, ANSWERS))


def test_a_class_that_is_never_answered_scores_zero_without_a_warning():
    got = metrics.summary(np.array([0, 1, 1]), np.eye(7)[[1, 1, 1]])
    assert got["per_class"]["Angry"] == {"precision": 0, "recall": 0, "f1": 0, "n": 1}
    assert got["majority"] == pytest.approx(2 / 3)


def test_the_fast_bootstrap_agrees_with_resampling_rows():
    fast = metrics.bootstrap(LABELS, ANSWERS, "accuracy")
    rows = metrics.bootstrap(LABELS, ANSWERS, lambda a, b: (a == b).mean())
    assert fast == pytest.approx(rows, abs=0.01) and 0.05 < fast[1] - fast[0] < 0.15


def test_mcnemar_counts_the_rows_only_one_has_right():
    labels, first, second = np.zeros(20, int), np.array([0] * 12 + [1] * 8), np.array([1] * 2 + [0] * 18)
    got = metrics.mcnemar(labels, first, second)
    assert (got["first_only"], got["second_only"], got["difference"]) == (2, 8, 0.3)
    assert got["p_value"] == pytest.approx(0.109375) and got["low"] < 0.3 < got["high"]
    assert metrics.mcnemar(labels, first, first)["p_value"] == 1.0


def test_calibration():
    sure = np.full((100, 7), 0.2 / 6)
    sure[:, 0] = 0.8
    labels = np.array([0] * 80 + [1] * 20)
    assert metrics.ece(labels, sure) == pytest.approx(0, abs=1e-9)
    assert metrics.ece(np.ones(100, int), sure) == pytest.approx(0.8)
    assert metrics.reliability(labels, sure)["n"].sum() == 100


def test_temperature_is_recovered():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 7)) * 2
    labels = (metrics.softmax(logits).cumsum(1) > rng.random((20000, 1))).argmax(1)
    assert metrics.fit_temperature(labels, 3 * logits) == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("labels, p, words", [
    ([], np.zeros((0, 7)), "N ≥ 1"), ([0, 1], np.ones((3, 7)), "one row for each"), ([-1], np.ones((1, 7)), "0–6"),
    ([7], np.ones((1, 7)), "0–6"), ([1], np.ones((1, 6)), r"\[N, 7\]"), ([1], np.full((1, 7), np.nan), "finite"),
])
def test_bad_input(labels, p, words):
    with pytest.raises(ValueError, match=words):
        metrics.summary(np.array(labels, int), p)


def test_paired_matrices_keep_the_rows_together():
    labels, first = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    here, drawn = metrics.paired_matrices(labels, first, labels, n=50)
    assert np.array_equal(here[0], metrics.confusion(labels, first))
    assert np.array_equal(here[1], metrics.confusion(labels, labels))
    assert drawn.shape == (50, 2, 7, 7) and (drawn.sum((2, 3)) == 5).all()
    assert np.array_equal(drawn[:, 0].sum(2), drawn[:, 1].sum(2))  # both see the same labels in every draw
    with pytest.raises(ValueError, match="second: must have one row"):
        metrics.paired_matrices(labels, first, labels[:3])


def test_a_change_has_a_narrower_interval_than_its_two_sides():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 7, 800)
    first = np.where(rng.random(800) < 0.4, rng.integers(0, 7, 800), labels)
    second = np.where(rng.random(800) < 0.1, labels, first)  # mends a tenth, breaks nothing
    difference, low, high = metrics.change(labels, first, second, "macro_f1")
    before, after = (metrics.scores(metrics.confusion(labels, said))["macro_f1"] for said in (first, second))
    assert difference == pytest.approx(after - before) and 0 < low < difference < high
    alone = metrics.bootstrap(labels, first, "macro_f1")
    assert high - low < 0.6 * (alone[1] - alone[0])
    assert metrics.change(labels, first, first, "accuracy") == (0, 0, 0)
