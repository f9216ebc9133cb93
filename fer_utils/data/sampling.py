"""Under-, over- and hybrid sampling of an imbalanced data set, as indices.

No pixel is touched: labels go in, positions in them come out, so one call serves any array in the same order. The draws
are imbalanced-learn's (Lemaître et al. 2017), which refuses images (imbalanced-learn issue 966); it is therefore given
a column of row numbers and asked for ``sample_indices_``.
"""

import numpy as np

# Undersampling leaves samples out, oversampling repeats some, a hybrid cuts large classes and repeats small ones.
METHODS = ("under", "over", "hybrid")
# The number that FER2013 notebooks pass around: Happy, counted over all three splits together.
HYBRID_TARGET = 8989


def resample(labels: np.ndarray, method: str, *, target: int | None = None, seed: int = 2013) -> np.ndarray:
    """Draw as many samples of each class: int64 [M], positions in `labels`, ascending (shuffle before training).

    Only for training labels, after the split. Oversampling keeps every sample; undersampling repeats none. ValueError
    names the argument that is none of these.

    Parameters
    ----------
    labels : int [N], 0 or more, of at least two classes.
    method : one of METHODS.
    target : samples a class, by default those of the smallest class (under, at most these), those of the largest
        (over, at least these), or HYBRID_TARGET.

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
