"""Metrics with their uncertainty: scikit-learn's points, bootstrap intervals, paired tests, calibration error.

`labels` and predictions are int [N], classes 0–6, `probabilities` float [N, 7], rows that sum to 1. ValueError names
the argument: without a sample, of another class, or of another length.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import sklearn.metrics
from scipy.stats import binomtest

from fer_utils.data import CLASSES

K = len(CLASSES)
DRAWS, ENDS = 2000, (0.025, 0.975)  # of every bootstrap


def _checked(labels: np.ndarray, **others: np.ndarray) -> list[np.ndarray]:
    """The labels, int64 [N], and the other arrays, about the same samples."""
    labels, arrays = np.asarray(labels), {name: np.asarray(values) for name, values in others.items()}
    if labels.ndim != 1 or not len(labels) or labels.min() < 0 or labels.max() >= K:
        raise ValueError(f"labels: must be [N], N ≥ 1, of 0–{K - 1}; got {list(labels.shape)}, {np.unique(labels)}")
    for name, values in arrays.items():
        if len(values) != len(labels):
            raise ValueError(f"{name}: must hold one for each of the {len(labels)} labels; got {len(values)}")
    return [labels.astype(np.int64), *arrays.values()]


def confusion(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Confusion matrix, int64 [7, 7]: row = label, column = prediction.

    Examples
    --------
    >>> confusion([0, 0, 3], [0, 3, 3])[0, :4].tolist()
    [1, 0, 0, 1]
    """
    labels, predictions = _checked(labels, predictions=predictions)
    return sklearn.metrics.confusion_matrix(labels, predictions, labels=range(K))


def per_class(labels: np.ndarray, predictions: np.ndarray) -> pd.DataFrame:
    """Precision, recall, f1 (0–1, 0 where undefined) and n (samples), a row for each of CLASSES.

    Examples
    --------
    >>> float(per_class([0, 0, 3], [0, 3, 3]).recall["Angry"])
    0.5
    """
    labels, predictions = _checked(labels, predictions=predictions)
    columns = sklearn.metrics.precision_recall_fscore_support(labels, predictions, labels=range(K), zero_division=0)
    return pd.DataFrame(dict(zip(("precision", "recall", "f1", "n"), columns, strict=True)), index=list(CLASSES))


def _statistic(matrices: np.ndarray, name: str) -> np.ndarray:
    """A score of confusion matrices [..., 7, 7], thousands at once: float [...], or [..., 7] of one named `class_…`."""
    hits, rows, columns = np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(-1), matrices.sum(-2)
    ratios = {"class_precision": (hits, columns), "class_recall": (hits, rows), "class_f1": (2 * hits, rows + columns)}
    means = {"macro_f1": "class_f1", "balanced_accuracy": "class_recall"}
    if name == "accuracy":
        return hits.sum(-1) / rows.sum(-1)
    if name in means:
        return (_statistic(matrices, means[name]) * (rows > 0)).sum(-1) / (rows > 0).sum(-1)
    if name not in ratios:
        raise ValueError(f"statistic: must be accuracy or one of {', '.join([*means, *ratios])}; got {name!r}")
    above, below = ratios[name]
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)


def _resampled(counts: np.ndarray, seed: int) -> np.ndarray:
    """Bootstrap draws of counts, int [DRAWS, ...]: as resampling the samples behind them, and much faster."""
    n = counts.sum()
    draws = np.random.default_rng(seed).multinomial(n, counts.ravel() / n, size=DRAWS)
    return draws.reshape(DRAWS, *counts.shape)


def bootstrap(labels: np.ndarray, predictions: np.ndarray, statistic: str = "accuracy", *,
              seed: int = 2013) -> np.ndarray:
    """95 % percentile bootstrap interval over samples (Efron 1979), from 2,000 draws: float [2], low and high.

    `statistic` is accuracy, macro_f1, balanced_accuracy, or class_precision, class_recall, class_f1: float [2, 7].

    Examples
    --------
    >>> low, high = bootstrap(labels, predictions, "macro_f1")
    """
    return np.quantile(_statistic(_resampled(confusion(labels, predictions), seed), statistic), ENDS, axis=0)


def paired_bootstrap_difference(labels: np.ndarray, first: np.ndarray, second: np.ndarray, statistic: str = "accuracy",
                                *, seed: int = 2013) -> np.ndarray:
    """`bootstrap` of second − first on the same samples: the difference, low and high, float [3] or [3, 7]."""
    labels, first, second = _checked(labels, first=first, second=second)
    kinds = np.bincount((labels * K + first) * K + second, minlength=K**3).reshape(K, K, K)

    def difference(counts: np.ndarray) -> np.ndarray:
        return _statistic(counts.sum(-2), statistic) - _statistic(counts.sum(-1), statistic)

    return np.array([difference(kinds), *np.quantile(difference(_resampled(kinds, seed)), ENDS, axis=0)])


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Exact McNemar test (1947) of two models' predictions on the same samples.

    n; first_only, second_only (samples that only this one has right); difference in accuracy (second − first) with its
    95 % interval low, high (normal approximation for paired proportions); p_value (two-sided binomial).

    Examples
    --------
    >>> mcnemar([0, 0, 0], [0, 1, 1], [0, 0, 0])["p_value"]
    0.5
    """
    labels, first, second = _checked(labels, first=first, second=second)
    change = (second == labels).astype(int) - (first == labels)
    first_only, second_only = int((change < 0).sum()), int((change > 0).sum())
    difference, error = change.mean(), 1.96 * change.std() / np.sqrt(len(change))
    p_value = binomtest(second_only, max(1, first_only + second_only)).pvalue
    return {"n": len(labels), "first_only": first_only, "second_only": second_only, "difference": float(difference),
            "low": float(difference - error), "high": float(difference + error), "p_value": float(p_value)}


def holm(p_values: Sequence[float]) -> pd.Series:
    """p-values (0–1) of several tests, corrected for their number (Holm 1979), in their order."""
    p = pd.Series(p_values, dtype=float)
    ordered = p.sort_values()
    return (ordered * np.arange(len(p), 0, -1)).cummax().clip(upper=1).reindex(p.index)


def reliability(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> pd.DataFrame:
    """A reliability diagram's confidence and accuracy (means, 0–1, NaN in an empty bin) and n.

    A row for each of the equal-width bins of the highest probability, ascending.

    Examples
    --------
    >>> reliability(labels, probabilities).plot("confidence", "accuracy")
    """
    labels, probabilities = _checked(labels, probabilities=probabilities)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    table = pd.DataFrame({"confidence": confidence, "accuracy": right}, dtype=float)
    groups = table.groupby(np.clip((confidence * bins).astype(int), 0, bins - 1))
    return groups.mean().assign(n=groups.size()).reindex(range(bins)).fillna({"n": 0}).astype({"n": int})


def ece(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> float:
    """Expected calibration error, 0–1 (Guo et al. 2017): the mean gap between confidence and accuracy.

    Examples
    --------
    >>> ece([0, 0], np.eye(7)[[0, 0]])
    0.0
    """
    table = reliability(labels, probabilities, bins=bins)
    return float(((table.confidence - table.accuracy).abs() * table.n).sum() / table.n.sum())


def summary(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, object]:
    """A results table's plain numbers: n, accuracy and macro_f1 with 95 % intervals (accuracy_low, …), and more.

    precision, recall, f1 (weighted by class size); macro_precision and balanced_accuracy (over the classes that occur);
    log_loss (nats); ece; majority (the majority-class baseline's accuracy); per_class {name: precision, recall, f1, n}.

    Examples
    --------
    >>> summary([0, 3], np.eye(7)[[0, 3]])["accuracy"]
    1.0
    """
    labels, probabilities = _checked(labels, probabilities=probabilities)
    if probabilities.shape != (len(labels), K) or not np.isfinite(probabilities).all():
        raise ValueError(f"probabilities: must be finite, [{len(labels)}, {K}]; got {list(probabilities.shape)}")
    predictions, normalized = probabilities.argmax(1), probabilities / probabilities.sum(1, keepdims=True)
    table = per_class(labels, predictions)
    macro = table[table.n > 0].mean()
    found = {
        "accuracy": sklearn.metrics.accuracy_score(labels, predictions),
        **{name: np.average(table[name], weights=table.n) for name in ("precision", "recall", "f1")},
        "macro_precision": macro.precision, "balanced_accuracy": macro.recall, "macro_f1": macro.f1,
        "log_loss": sklearn.metrics.log_loss(labels, normalized, labels=range(K)),
        "ece": ece(labels, probabilities), "majority": table.n.max() / len(labels),
    }
    for name in ("accuracy", "macro_f1"):
        found[f"{name}_low"], found[f"{name}_high"] = bootstrap(labels, predictions, name)
    numbers = {name: float(value) for name, value in found.items()}
    return {"n": len(labels), **numbers, "per_class": table.to_dict(orient="index")}
