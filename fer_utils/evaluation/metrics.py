"""Metrics with their uncertainty: scikit-learn's points, bootstrap intervals, paired tests, calibration error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import sklearn.metrics

from fer_utils.data import CLASSES

__all__ = [
    "bootstrap", "confusion", "ece", "holm", "mcnemar", "paired_bootstrap_difference", "per_class", "reliability",
    "softmax", "summary",
]

DRAWS, LEVEL = 2000, 0.95  # of every bootstrap


def _checked(labels: np.ndarray, **others: np.ndarray) -> list[np.ndarray]:
    """The labels, int64 [N], and the other arrays, after checking that they describe the same samples."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels: must be [N] with N ≥ 1; got shape {list(labels.shape)}")
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        raise ValueError(f"labels: must lie in 0–{len(CLASSES) - 1}; got {labels.min()} to {labels.max()}")
    arrays = {name: np.asarray(values) for name, values in others.items()}
    for name, values in arrays.items():
        if len(values) != len(labels):
            raise ValueError(f"{name}: must hold one for each of the {len(labels)} labels; got {len(values)}")
    return [labels.astype(np.int64), *arrays.values()]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits.

    Parameters
    ----------
    logits : array of float, shape [..., 7]

    Returns
    -------
    array of float64, shape [..., 7]
        Each row sums to 1.

    Examples
    --------
    >>> softmax(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """
    shifted = np.exp(logits - np.max(logits, axis=-1, keepdims=True), dtype=np.float64)
    return shifted / shifted.sum(axis=-1, keepdims=True)


def confusion(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Confusion matrix over the seven classes, with those that do not occur.

    Parameters
    ----------
    labels, predictions : array of int, shape [N]
        Classes, 0–6.

    Returns
    -------
    array of int64, shape [7, 7]
        Counts; row = label, column = prediction.

    Raises
    ------
    ValueError
        For no sample, another class or another number of predictions; so do all functions here.

    Examples
    --------
    >>> confusion([0, 0, 3], [0, 3, 3])[0, 3]
    1
    """
    labels, predictions = _checked(labels, predictions=predictions)
    return sklearn.metrics.confusion_matrix(labels, predictions, labels=range(len(CLASSES)))


def per_class(labels: np.ndarray, predictions: np.ndarray) -> pd.DataFrame:
    """Precision, recall and F1 of each class, and its number of samples.

    Parameters
    ----------
    labels, predictions : array of int, shape [N]
        Classes, 0–6.

    Returns
    -------
    DataFrame
        A row for each of CLASSES; columns precision, recall, f1 (0–1, 0 where undefined) and n.

    Examples
    --------
    >>> per_class([0, 0, 3], [0, 3, 3]).recall["Angry"]
    0.5
    """
    labels, predictions = _checked(labels, predictions=predictions)
    columns = sklearn.metrics.precision_recall_fscore_support(
        labels, predictions, labels=range(len(CLASSES)), zero_division=0
    )
    return pd.DataFrame(dict(zip(("precision", "recall", "f1", "n"), columns, strict=True)), index=list(CLASSES))


def _statistics(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of a stack of confusion matrices [..., 7, 7]: float [...], those named `class_…` [..., 7].

    The bootstrap needs thousands at once; a test compares them with scikit-learn's.
    """
    hits = np.diagonal(matrices, axis1=-2, axis2=-1).astype(float)
    rows, columns = matrices.sum(-1), matrices.sum(-2)
    total, present = rows.sum(-1), rows > 0

    def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
        return np.divide(above, below, out=np.zeros_like(hits), where=below > 0)

    classes = {"precision": ratio(hits, columns), "recall": ratio(hits, rows), "f1": ratio(2 * hits, rows + columns)}
    macro = {name: (values * present).sum(-1) / present.sum(-1) for name, values in classes.items()}
    return {
        "accuracy": hits.sum(-1) / total, "macro_f1": macro["f1"], "balanced_accuracy": macro["recall"],
        **{f"class_{name}": values for name, values in classes.items()},
    }


def _statistic(matrices: np.ndarray, name: str) -> np.ndarray:
    found = _statistics(matrices)
    if name not in found:
        raise ValueError(f"statistic: must be one of {', '.join(found)}; got {name!r}")
    return found[name]


def _interval(draws: np.ndarray) -> np.ndarray:
    """Lower and upper end of the percentile interval over the first axis: float [2, ...]."""
    return np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)


def _resampled(counts: np.ndarray, seed: int = 2013) -> np.ndarray:
    """Bootstrap draws of counts, int [DRAWS, ...]: the same as resampling the samples behind them, and much faster."""
    n = counts.sum()
    draws = np.random.default_rng(seed).multinomial(n, counts.ravel() / n, size=DRAWS)
    return draws.reshape(DRAWS, *counts.shape)


def bootstrap(
    labels: np.ndarray, predictions: np.ndarray, statistic: str = "accuracy", *, seed: int = 2013
) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile bootstrap interval over samples (Efron 1979), from 2,000 draws.

    Parameters
    ----------
    labels, predictions : array of int, shape [N]
        Classes, 0–6.
    statistic : str
        accuracy, macro_f1, balanced_accuracy, or class_precision, class_recall, class_f1.
    seed : int
        Of the draws.

    Returns
    -------
    low, high : float, or array of float, shape [7], for a statistic of each class

    Raises
    ------
    ValueError
        For another statistic.

    Examples
    --------
    >>> low, high = bootstrap(labels, predictions, "macro_f1")
    >>> print(f"{low:.3f} to {high:.3f}")
    """
    return tuple(_interval(_statistic(_resampled(confusion(labels, predictions), seed), statistic)))


def paired_bootstrap_difference(
    labels: np.ndarray, first: np.ndarray, second: np.ndarray, statistic: str = "accuracy", *, seed: int = 2013
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Difference of two models on the same samples, with the 95 % interval of a paired bootstrap.

    Parameters
    ----------
    labels, first, second : array of int, shape [N]
        Classes, 0–6, and the predictions of both models.
    statistic, seed
        As in `bootstrap`.

    Returns
    -------
    difference, low, high : float, or array of float, shape [7], for a statistic of each class
        second − first.

    Examples
    --------
    >>> difference, low, high = paired_bootstrap_difference(labels, first, second, "macro_f1")
    >>> low > 0 or high < 0  # the interval excludes zero
    """
    labels, first, second = _checked(labels, first=first, second=second)
    # A sample is one of 7 × 7 × 7 kinds (label, first, second): pairs stay together when the kinds are resampled.
    size = len(CLASSES)
    kinds = np.bincount((labels * size + first) * size + second, minlength=size**3).reshape(size, size, size)

    def difference(counts: np.ndarray) -> np.ndarray:
        return _statistic(counts.sum(-2), statistic) - _statistic(counts.sum(-1), statistic)

    return difference(kinds), *_interval(difference(_resampled(kinds, seed)))


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Exact McNemar test of two models' predictions on the same samples (McNemar 1947).

    Parameters
    ----------
    labels, first, second : array of int, shape [N]
        Classes, 0–6, and the predictions of both models.

    Returns
    -------
    dict
        n; first_only, second_only (samples that only this model has right); difference in accuracy (second − first)
        with its 95 % interval low, high (normal approximation for paired proportions); p_value (two-sided binomial).

    Examples
    --------
    >>> mcnemar([0, 0, 0], [0, 1, 1], [0, 0, 0])["p_value"]
    0.5
    """
    from scipy.stats import binomtest

    labels, first, second = _checked(labels, first=first, second=second)
    first_only = int(((first == labels) & (second != labels)).sum())
    second_only = int(((first != labels) & (second == labels)).sum())
    n, differing, gain = len(labels), first_only + second_only, second_only - first_only
    error = 1.96 * np.sqrt(differing - gain**2 / n) / n
    return {
        "n": n, "first_only": first_only, "second_only": second_only, "difference": gain / n,
        "low": gain / n - error, "high": gain / n + error,
        "p_value": float(binomtest(second_only, differing).pvalue) if differing else 1.0,
    }


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values corrected for several tests at once (Holm 1979): reject those that stay below the level.

    Parameters
    ----------
    p_values : sequence of float, length K
        0–1, one for each test.

    Returns
    -------
    array of float, shape [K]
        Corrected, in the same order, at most 1.

    Raises
    ------
    ValueError
        For a number outside 0–1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p_values: must be a list of numbers from 0 to 1; got {p_values}")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def reliability(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> pd.DataFrame:
    """Reliability diagram's numbers: confidence and accuracy in equal-width bins of the highest probability.

    Parameters
    ----------
    labels : array of int, shape [N]
        Classes, 0–6.
    probabilities : array of float, shape [N, 7]
        Each row sums to 1.
    bins : int

    Returns
    -------
    DataFrame
        A row for each bin, ascending; columns confidence, accuracy (means, NaN in an empty bin) and n.

    Examples
    --------
    >>> reliability(labels, probabilities).plot("confidence", "accuracy")
    """
    labels, probabilities = _checked(labels, probabilities=probabilities)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    which = np.clip((confidence * bins).astype(int), 0, bins - 1)
    table = pd.DataFrame({"confidence": confidence.astype(float), "accuracy": right.astype(float)}).groupby(which)
    return table.mean().assign(n=table.size()).reindex(range(bins)).fillna({"n": 0}).astype({"n": int})


def ece(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017): the mean gap between confidence and accuracy.

    Parameters
    ----------
    labels, probabilities, bins
        As in `reliability`.

    Returns
    -------
    float
        0–1; 0 is best.

    Examples
    --------
    >>> ece([0, 0], np.eye(7)[[0, 0]])
    0.0
    """
    table = reliability(labels, probabilities, bins=bins)
    return float(((table.confidence - table.accuracy).abs() * table.n).sum() / table.n.sum())


def summary(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, object]:
    """Everything that a results table shows, as plain numbers ready for JSON.

    Parameters
    ----------
    labels : array of int, shape [N]
        Classes, 0–6.
    probabilities : array of float, shape [N, 7]
        Each row sums to 1.

    Returns
    -------
    dict
        n; accuracy, macro_f1 and their 95 % intervals (accuracy_low, …); precision, recall, f1 (weighted by class
        size); macro_precision; balanced_accuracy; log_loss (nats); ece; majority (accuracy of always predicting the
        most frequent label); per_class {name: precision, recall, f1, n}.

    Raises
    ------
    ValueError
        For no sample, another number or shape of probabilities, or NaN among them.

    Examples
    --------
    >>> summary([0, 3], np.eye(7)[[0, 3]])["accuracy"]
    1.0
    """
    labels, probabilities = _checked(labels, probabilities=probabilities)
    if probabilities.shape != (len(labels), len(CLASSES)) or not np.isfinite(probabilities).all():
        raise ValueError(f"probabilities: must be finite, [N, {len(CLASSES)}]; got {list(probabilities.shape)}")
    predictions = probabilities.argmax(1)
    table, matrix = per_class(labels, predictions), confusion(labels, predictions)
    draws = _statistics(_resampled(matrix))
    weighted, macro = (
        sklearn.metrics.precision_recall_fscore_support(
            labels, predictions, labels=np.unique(labels), average=average, zero_division=0
        )
        for average in ("weighted", "macro")
    )
    found = {
        "n": len(labels), "accuracy": sklearn.metrics.accuracy_score(labels, predictions),
        **dict(zip(("precision", "recall", "f1"), weighted[:3], strict=True)),
        **dict(zip(("macro_precision", "balanced_accuracy", "macro_f1"), macro[:3], strict=True)),
        **{
            f"{name}_{end}": value
            for name in ("accuracy", "macro_f1")
            for end, value in zip(("low", "high"), _interval(draws[name]), strict=True)
        },
        "log_loss": sklearn.metrics.log_loss(labels, probabilities, labels=range(len(CLASSES))),
        "ece": ece(labels, probabilities), "majority": table.n.max() / len(labels),
    }
    numbers = {name: value if name == "n" else float(value) for name, value in found.items()}
    return {**numbers, "per_class": table.to_dict(orient="index")}
