"""Metrics with their uncertainty: accuracy, precision, recall, F1, intervals, paired tests, calibration.

`labels` are int [N] in 0–6, `probabilities` float [N, 7] whose rows sum to 1, `predictions` int [N].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fer_utils.data import CLASSES

__all__ = [
    "bootstrap", "change", "confusion", "ece", "fit_temperature", "mcnemar", "paired_matrices", "per_class",
    "reliability", "scores", "softmax", "summary",
]


def _check(labels: np.ndarray, other: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    labels, other = np.asarray(labels), np.asarray(other)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels: must be [N] with N ≥ 1; got shape {list(labels.shape)}")
    if len(labels) != len(other):
        raise ValueError(f"{name}: must have one row for each of the {len(labels)} labels; got {len(other)}")
    if labels.min() < 0 or labels.max() > 6:
        raise ValueError(f"labels: must lie in 0–6; got {labels.min()} to {labels.max()}")
    return labels.astype(np.int64), other


def confusion(labels: np.ndarray, predictions: np.ndarray, *, classes: int = 7) -> np.ndarray:
    """Counts, int64 [classes, classes]: row = label, column = prediction."""
    labels, predictions = _check(labels, predictions, "predictions")
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def per_class(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall, F1 (float [classes], 0 where undefined) and n (int [classes]) from a confusion matrix.

    A stack of matrices [..., classes, classes] gives stacked results.
    """
    hits, rows, columns = np.diagonal(matrix, axis1=-2, axis2=-1).astype(float), matrix.sum(-1), matrix.sum(-2)
    recall = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
    precision = np.divide(hits, columns, out=np.zeros_like(hits), where=columns > 0)
    f1 = np.divide(2 * hits, rows + columns, out=np.zeros_like(hits), where=rows + columns > 0)
    return {"precision": precision, "recall": recall, "f1": f1, "n": rows}


def scores(matrix: np.ndarray) -> dict[str, float]:
    """accuracy, precision, recall and f1 (weighted by class size), macro_precision, macro_f1, balanced_accuracy."""
    return {name: float(value) for name, value in _scores(matrix).items()}


def _scores(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """`scores` of a stack of matrices, [..., classes, classes] → [...]."""
    table = per_class(matrices)
    present = table["n"] > 0
    total = matrices.sum((-2, -1))
    weighted = {name: (table["n"] * table[name]).sum(-1) / total for name in ("precision", "recall", "f1")}
    even = {name: (table[name] * present).sum(-1) / present.sum(-1) for name in ("precision", "recall", "f1")}
    return {
        "accuracy": np.trace(matrices, axis1=-2, axis2=-1) / total, **weighted,
        "macro_precision": even["precision"], "macro_f1": even["f1"], "balanced_accuracy": even["recall"],
    }


def bootstrap(
    labels: np.ndarray,
    predictions: np.ndarray,
    statistic: str | Callable[[np.ndarray, np.ndarray], float] = "accuracy",
    *,
    n: int = 2000,
    seed: int = 2013,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval over rows (Efron 1979).

    `statistic` is a name among accuracy, precision, recall, f1, macro_f1, balanced_accuracy (computed from resampled
    confusion cells, which is exact and fast) or a function of (labels, predictions).
    """
    labels, predictions = _check(labels, predictions, "predictions")
    rng = np.random.default_rng(seed)
    if callable(statistic):
        draws = (rng.integers(0, len(labels), len(labels)) for _ in range(n))
        values = [statistic(labels[rows], predictions[rows]) for rows in draws]
    else:
        matrix = confusion(labels, predictions)
        cells = rng.multinomial(len(labels), matrix.ravel() / len(labels), size=n)
        values = _scores(cells.reshape(n, *matrix.shape))[statistic]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Row-wise softmax, float64 [N, 7]."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float64)
    return shifted / shifted.sum(axis=-1, keepdims=True)


def reliability(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> dict[str, np.ndarray]:
    """Confidence, accuracy and n by equal-width bin of the highest probability; empty bins hold NaN."""
    labels, probabilities = _check(labels, probabilities, "probabilities")
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    which = np.clip((confidence * bins).astype(int), 0, bins - 1)
    n = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        return {
            "confidence": np.bincount(which, confidence, bins) / n,
            "accuracy": np.bincount(which, right, bins) / n,
            "n": n,
        }


def ece(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017): the mean gap between confidence and accuracy, 0–1."""
    table = reliability(labels, probabilities, bins=bins)
    gap = np.nan_to_num(np.abs(table["confidence"] - table["accuracy"]))
    return float(table["n"] @ gap / table["n"].sum())


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature (> 0) that minimizes the cross-entropy of softmax(logits / T) (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    labels, logits = _check(labels, logits, "logits")
    rows = np.arange(len(labels))

    def loss(log_t: float) -> float:
        return -np.log(softmax(logits / np.exp(log_t))[rows, labels] + 1e-12).mean()

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def paired_matrices(
    labels: np.ndarray, first: np.ndarray, second: np.ndarray, *, n: int = 2000, seed: int = 2013
) -> tuple[np.ndarray, np.ndarray]:
    """Confusion matrices of two models on the same rows, and on `n` bootstrap draws of those rows.

    Returns int [2, 7, 7] and int [n, 2, 7, 7]; first, then second.
    """
    labels, first = _check(labels, first, "first")
    labels, second = _check(labels, second, "second")
    # A row is one of 7 × 7 × 7 kinds (label, first answer, second answer): resampling the counts of kinds is the same
    # as resampling rows, and much faster.
    kinds = np.bincount((labels * 7 + first) * 7 + second, minlength=7**3)
    draws = np.random.default_rng(seed).multinomial(len(labels), kinds / len(labels), size=n)

    def matrices(counts: np.ndarray) -> np.ndarray:
        cube = counts.reshape(-1, 7, 7, 7)
        return np.stack([cube.sum(3), cube.sum(2)], axis=1)

    return matrices(kinds)[0], matrices(draws)


def change(
    labels: np.ndarray, first: np.ndarray, second: np.ndarray, name: str, *, n: int = 2000, seed: int = 2013
) -> tuple[float, float, float]:
    """second − first in one of the `scores`, with the 95 % interval (low, high) of a paired bootstrap over rows."""
    here, drawn = paired_matrices(labels, first, second, n=n, seed=seed)
    (before, after), draws = _scores(here)[name], _scores(drawn)[name]
    low, high = np.quantile(draws[:, 1] - draws[:, 0], [0.025, 0.975])
    return float(after - before), float(low), float(high)


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Exact McNemar test of two models' predictions on the same rows.

    Returns n, first_only and second_only (rows only that model has right), difference (second − first, accuracy),
    its 95 % interval (low, high; normal approximation for paired proportions) and p_value (two-sided binomial).
    """
    from scipy.stats import binomtest

    labels, first = _check(labels, first, "first")
    labels, second = _check(labels, second, "second")
    a, b = first == labels, second == labels
    only_a, only_b, n = int((a & ~b).sum()), int((b & ~a).sum()), len(labels)
    difference = (only_b - only_a) / n
    error = 1.96 * np.sqrt(only_a + only_b - (only_b - only_a) ** 2 / n) / n
    p_value = binomtest(only_b, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {
        "n": n, "first_only": only_a, "second_only": only_b, "difference": difference,
        "low": difference - error, "high": difference + error, "p_value": float(p_value),
    }


def summary(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, object]:
    """Everything a results table shows, as plain numbers ready for JSON.

    n; accuracy with accuracy_low and accuracy_high (95 % bootstrap); precision, recall, f1 (weighted by class size);
    macro_precision, macro_f1 with macro_f1_low and macro_f1_high; balanced_accuracy; ece; majority (the accuracy of
    always saying the most frequent label); per_class {name: precision, recall, f1, n}.
    """
    labels, probabilities = _check(labels, probabilities, "probabilities")
    if probabilities.ndim != 2 or probabilities.shape[1] != 7 or not np.isfinite(probabilities).all():
        raise ValueError(f"probabilities: must be finite, [N, 7]; got shape {list(probabilities.shape)}")
    predictions = probabilities.argmax(1)
    matrix = confusion(labels, predictions)
    low, high = bootstrap(labels, predictions, "accuracy")
    macro_low, macro_high = bootstrap(labels, predictions, "macro_f1")
    table = per_class(matrix)
    classes = {
        name: {key: (int if key == "n" else float)(column[row]) for key, column in table.items()}
        for row, name in enumerate(CLASSES)
    }
    return {
        "n": len(labels), **scores(matrix),
        "accuracy_low": low, "accuracy_high": high, "macro_f1_low": macro_low, "macro_f1_high": macro_high,
        "ece": ece(labels, probabilities), "majority": float(matrix.sum(1).max() / len(labels)), "per_class": classes,
    }
