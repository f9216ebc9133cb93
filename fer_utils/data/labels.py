"""What training makes of labels: as many samples of each class (indices), and soft labels.

Resampling touches no pixel: labels go in, positions in them come out, so one call serves any array in the same order.
The draws are imbalanced-learn's (Lemaître et al. 2017), which refuses images (imbalanced-learn issue 966); it is
therefore given a column of row numbers and asked for ``sample_indices_``.
"""

import numpy as np

from fer_utils.data.classes import CLASSES

# Undersampling leaves samples out, oversampling repeats some, a hybrid cuts large classes and repeats small ones.
METHODS = ("under", "over", "hybrid")
# The number that FER2013 notebooks pass around: Happy, counted over all three splits together.
HYBRID_TARGET = 8989


def resample(labels: np.ndarray, method: str, *, target: int | None = None, seed: int = 2013) -> np.ndarray:
    """Draw as many samples of each class: int64 [M], positions in `labels`, ascending (shuffle before training).

    Only for training labels, int [N] of at least two classes, after the split. Oversampling keeps every sample;
    undersampling repeats none. `method`: one of METHODS. `target`: samples a class, by default those of the smallest
    class (under, at most these), those of the largest (over, at least these), or HYBRID_TARGET. Else ValueError.

    Examples
    --------
    >>> resample(np.array([0, 0, 0, 1]), "over").tolist()
    [0, 1, 2, 3, 3, 3]
    """
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    labels = np.asarray(labels)
    classes, counts = np.unique(labels, return_counts=True)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(classes) < 2 or classes[0] < 0:
        raise ValueError("labels must be whole numbers from 0, one a sample, of at least two classes; got shape "
                         f"{labels.shape}, dtype {labels.dtype}, classes {classes[:9].tolist()}")  # fmt: skip
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if target is None:
        target = {"under": counts.min(), "over": counts.max(), "hybrid": HYBRID_TARGET}[method]
    least = counts.max() if method == "over" else 1
    most = counts.min() if method == "under" else np.inf
    if not isinstance(target, int | np.integer) or not least <= target <= most:
        raise ValueError(f"target must be a whole number from {least} to {most} for {method!r}; got {target!r}")
    indices = np.arange(len(labels))
    for sampler, chosen in ((RandomUnderSampler, counts > target), (RandomOverSampler, counts < target)):
        if chosen.any():
            drawer = sampler(sampling_strategy=dict.fromkeys(classes[chosen], target), random_state=seed)
            drawer.fit_resample(indices.reshape(-1, 1), labels[indices])
            indices = indices[drawer.sample_indices_]
    return np.sort(indices).astype(np.int64)


def soft_labels(labels: np.ndarray, votes: np.ndarray | None, *, weight: float = 0.3,
                smoothing: float = 0.0) -> np.ndarray:
    """One-hot labels blended with FER+'s `calibrated_votes`, then smoothed: float32 [N, 7], each row sums to 1.

    Parameters
    ----------
    labels : int [N], FER2013's own, 0–6.
    votes : uint8 [N, 10] in the order VOTE_NAMES, or None: hard labels.
    weight, smoothing : share of the votes, then share spread evenly over all classes; ValueError outside 0–1.

    Examples
    --------
    >>> soft_labels(np.array([3]), None, smoothing=0.07).round(2).tolist()
    [[0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01]]
    """
    for name, value in (("weight", weight), ("smoothing", smoothing)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1]; got {value}")
    targets = np.eye(len(CLASSES), dtype=np.float32)[labels]
    if weight and votes is not None:
        targets = (1 - weight) * targets + weight * calibrated_votes(labels, votes)
    return (1 - smoothing) * targets + np.float32(smoothing / len(CLASSES))


def calibrated_votes(labels: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Map FER+'s votes, uint8 [N, 10], to probabilities of FER2013's labels, int [N]: float32 [N, 7].

    FER+'s voters and FER2013's annotators name the same face differently (their majority agrees with the label on 63 %
    of the images). A logistic regression from vote shares to labels, fitted on these very samples, learns that mapping.
    With 147 coefficients for thousands of samples it cannot memorize a label, so its probabilities lack FER2013's label
    noise but keep its class proportions. A class without samples gets 0; at least two classes must occur.

    Examples
    --------
    >>> train = fer.take(training_indices(fer))
    >>> probabilities = calibrated_votes(train.labels, train.votes)
    """
    from sklearn.linear_model import LogisticRegression

    shares = votes / np.maximum(1, votes.sum(1, keepdims=True, dtype=np.float64))
    # One vote of twenty in the logarithm: finer differences are chance.
    features = np.hstack([shares, np.log(shares + 0.05)])
    fitted = LogisticRegression(max_iter=2000).fit(features, labels)
    probabilities = np.zeros((len(labels), len(CLASSES)), np.float32)
    probabilities[:, fitted.classes_] = fitted.predict_proba(features)
    return probabilities
