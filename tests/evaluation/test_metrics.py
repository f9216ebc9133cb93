import numpy as np
import pytest
import sklearn.metrics as reference
from scipy.special import softmax

from fer_utils.data import CLASSES
from fer_utils.evaluation import metrics

RNG = np.random.default_rng(5)
LABELS = RNG.integers(0, 7, 400)
P = softmax(RNG.normal(size=(400, 7)) + 2 * np.eye(7)[LABELS], axis=1)
FIRST = P.argmax(1)
SECOND = np.where(RNG.random(400) < 0.3, LABELS, FIRST)  # corrects about a third of the mistakes


def test_summary_equals_scikit_learn():
    got = metrics.summary(LABELS, P)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(LABELS, FIRST, average="weighted")
    assert got["n"] == 400 and got["accuracy"] == pytest.approx(reference.accuracy_score(LABELS, FIRST))
    assert [got["precision"], got["recall"], got["f1"]] == pytest.approx([precision, recall, f1])
    assert got["macro_f1"] == pytest.approx(reference.f1_score(LABELS, FIRST, average="macro"))
    assert got["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(LABELS, FIRST))
    assert got["log_loss"] == pytest.approx(-np.log(P[np.arange(400), LABELS]).mean())
    assert got["accuracy_low"] < got["accuracy"] < got["accuracy_high"]
    assert list(got["per_class"]) == list(CLASSES) and got["per_class"]["Happy"]["n"] == (LABELS == 3).sum()


def test_a_class_that_is_missing_or_never_predicted_scores_zero_without_a_warning(recwarn):
    got = metrics.summary([0, 1, 1], np.eye(7)[[1, 1, 2]])
    assert got["per_class"]["Angry"] == {"precision": 0, "recall": 0, "f1": 0, "n": 1}
    assert got["per_class"]["Sad"]["n"] == 0 and got["balanced_accuracy"] == pytest.approx(0.25)
    assert got["majority"] == pytest.approx(2 / 3) and not recwarn.list
    assert metrics.confusion([0, 1, 1], [1, 1, 2])[1].tolist() == [0, 1, 1, 0, 0, 0, 0]


def test_the_fast_statistics_are_scikit_learns():
    matrix, points = metrics.confusion(LABELS, FIRST), metrics.summary(LABELS, P)
    table = metrics.per_class(LABELS, FIRST)
    for name in ("precision", "recall", "f1"):
        assert metrics._statistic(matrix, f"class_{name}") == pytest.approx(table[name])
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        assert metrics._statistic(matrix, name) == pytest.approx(points[name])


@pytest.mark.parametrize("statistic", ["accuracy", "macro_f1", "class_recall"])
def test_the_fast_bootstrap_agrees_with_resampling_samples(statistic):
    rows = RNG.integers(0, 400, (1000, 400))
    draws = [metrics._statistic(metrics.confusion(LABELS[row], FIRST[row]), statistic) for row in rows]
    assert np.array(metrics.bootstrap(LABELS, FIRST, statistic)) == pytest.approx(
        np.quantile(draws, [0.025, 0.975], axis=0), abs=0.02
    )


def test_a_paired_difference_is_more_certain_than_its_two_sides():
    difference, low, high = metrics.paired_bootstrap_difference(LABELS, FIRST, SECOND, "macro_f1")
    before, after = (metrics.per_class(LABELS, each).f1.mean() for each in (FIRST, SECOND))
    assert difference == pytest.approx(after - before) and 0 < low < difference < high
    alone = metrics.bootstrap(LABELS, FIRST, "macro_f1")
    assert high - low < 0.7 * (alone[1] - alone[0])
    assert metrics.paired_bootstrap_difference(LABELS, FIRST, FIRST).tolist() == [0, 0, 0]


def test_mcnemar_counts_the_samples_that_only_one_has_right():
    labels, first, second = np.zeros(20, int), np.array([0] * 12 + [1] * 8), np.array([1] * 2 + [0] * 18)
    got = metrics.mcnemar(labels, first, second)
    assert (got["first_only"], got["second_only"], got["difference"]) == (2, 8, 0.3)
    assert got["p_value"] == pytest.approx(0.109375) and got["low"] < 0.3 < got["high"]
    assert metrics.mcnemar(labels, first, first)["p_value"] == 1.0


@pytest.mark.parametrize("p, corrected", [
    ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.2], [0.2]), ([], []), ([0.9, 0.8, 1], [1, 1, 1]),
])
def test_holm(p, corrected):
    assert metrics.holm(p).tolist() == pytest.approx(corrected)


def test_calibration_error():
    sure = np.full((100, 7), 0.2 / 6)
    sure[:, 0] = 0.8
    labels = np.array([0] * 80 + [1] * 20)
    assert metrics.ece(labels, sure) == pytest.approx(0, abs=1e-9)
    assert metrics.ece(np.ones(100, int), sure) == pytest.approx(0.8)
    table = metrics.reliability(labels, sure)
    assert len(table) == 15 and table.n.sum() == table.n[12] == 100 and np.isnan(table.accuracy[0])


@pytest.mark.parametrize("labels, p, name", [
    ([], np.zeros((0, 7)), "labels"), ([[0]], np.ones((1, 7)), "labels"), ([-1], np.ones((1, 7)), "labels"),
    ([7], np.ones((1, 7)), "labels"), ([0, 1], np.ones((3, 7)), "probabilities"),
    ([1], np.ones((1, 6)), "probabilities"), ([1], np.full((1, 7), np.nan), "probabilities"),
])
def test_bad_input(labels, p, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        metrics.summary(np.array(labels, int), p)


@pytest.mark.parametrize("call, name", [
    (lambda: metrics.bootstrap(LABELS, FIRST, "auc"), "statistic"),
    (lambda: metrics.paired_bootstrap_difference(LABELS, FIRST, FIRST[:3]), "second"),
    (lambda: metrics.mcnemar(LABELS, FIRST[:3], FIRST), "first"),
])
def test_bad_arguments(call, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        call()
