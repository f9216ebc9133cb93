"""Under-, over- and hybrid sampling of an imbalanced data set, as indices.

The samplers touch no pixel: they take labels and return positions in them, so one call serves any array in the same
order. The draws are imbalanced-learn's (Lemaître et al. 2017), which refuses images (imbalanced-learn issue 966); it
is therefore given a column of row numbers and asked for ``sample_indices_``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Target = int | Mapping[int, int] | None

__all__ = ["HYBRID_TARGET", "METHODS", "resample", "resample_before_split", "sampling_targets"]

METHODS = ("under", "over", "hybrid")
"""Undersampling leaves samples out, oversampling repeats some, a hybrid cuts large classes and repeats small ones."""

HYBRID_TARGET = 8989
"""The number that FER2013 notebooks pass around: Happy, counted over all three splits together."""


def sampling_targets(labels: np.ndarray, method: str, *, target: Target = None) -> dict[int, int]:
    """How many samples each class has after `resample`, without drawing them.

    Parameters
    ----------
    labels : int [N], 0 or more, of at least two classes.
    method : one of METHODS.
    target : samples a class: one number for all, or a mapping class → samples (classes it leaves out keep theirs). By
        default the smallest class (under), the largest (over), or HYBRID_TARGET.

    Returns
    -------
    class → samples, for every class that occurs in `labels`.

    Raises
    ------
    ValueError for an unknown method, labels that are no such array, or a target below 1, of a class that does not
    occur, above the class's samples (under) or below them (over).

    Examples
    --------
    >>> sampling_targets(np.array([0, 0, 0, 1]), "over")
    {0: 3, 1: 3}
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    counts = _counts(labels)
    if target is None:
        target = {"under": min(counts.values()), "over": max(counts.values()), "hybrid": HYBRID_TARGET}[method]
    wanted = dict(target) if isinstance(target, Mapping) else dict.fromkeys(counts, target)
    for label, rows in wanted.items():
        if label not in counts:
            raise ValueError(f"target names class {label!r}, which does not occur; classes are {sorted(counts)}")
        if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
            raise ValueError(f"target must be a whole number of at least 1; got {rows!r}")
        if (method == "under" and rows > counts[label]) or (method == "over" and rows < counts[label]):
            bound = "most" if method == "under" else "least"
            raise ValueError(f"target must be at {bound} the {counts[label]} samples of class {label} for {method!r}; "
                             f"got {rows}. Use 'hybrid' or another target")  # fmt: skip
    return counts | {int(label): int(rows) for label, rows in wanted.items()}


def resample(labels: np.ndarray, method: str, *, target: Target = None, seed: int = 2013) -> np.ndarray:
    """Draw samples so that each class has its target number of them. Only training labels, after the split.

    Oversampling keeps every sample at least once; undersampling repeats none.

    Parameters
    ----------
    labels, method, target : as in `sampling_targets`, with its errors.
    seed : fixes the draw.

    Returns
    -------
    int64 [M], positions in `labels`, ascending: shuffle before training.

    Examples
    --------
    >>> labels[resample(labels, "under")]  # as many of each class
    """
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    wanted = sampling_targets(labels, method, target=target)
    labels = np.asarray(labels)
    counts = _counts(labels)
    cut = {label: rows for label, rows in wanted.items() if rows < counts[label]}
    grown = {label: rows for label, rows in wanted.items() if rows > counts[label]}
    indices = np.arange(len(labels))
    for sampler, strategy in ((RandomUnderSampler, cut), (RandomOverSampler, grown)):
        if strategy:
            drawer = sampler(sampling_strategy=strategy, random_state=seed)
            drawer.fit_resample(indices.reshape(-1, 1), labels[indices])
            indices = indices[drawer.sample_indices_]
    return np.sort(indices).astype(np.int64)


def resample_before_split(
    labels: np.ndarray, method: str, *, target: Target = None, test_share: float = 0.1, seed: int = 2013
) -> tuple[np.ndarray, np.ndarray]:
    """Resample all samples, then split them at random: to measure how optimistically biased this order is.

    Copies of one sample land on both sides, so the test part holds images that the model was trained on.

    Parameters
    ----------
    labels, method, target, seed : as in `resample`.
    test_share : part of the resampled samples that is held out, in (0, 1), the same in each class.

    Returns
    -------
    train int64 [A] and test int64 [B], positions in `labels`; a position may occur in both, and often.

    Examples
    --------
    >>> train, test = resample_before_split(labels, "over")
    """
    from sklearn.model_selection import train_test_split

    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be above 0 and below 1; got {test_share!r}")
    indices = resample(labels, method, target=target, seed=seed)
    drawn = np.asarray(labels)[indices]
    return tuple(train_test_split(indices, test_size=test_share, stratify=drawn, random_state=seed))


def _counts(labels: np.ndarray) -> dict[int, int]:
    """class → samples, after the checks that every sampler needs."""
    labels = np.asarray(labels)
    classes, rows = np.unique(labels, return_counts=True)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(classes) < 2 or classes[0] < 0:
        raise ValueError("labels must be whole numbers from 0, one a sample, of at least two classes; got shape "
                         f"{labels.shape}, dtype {labels.dtype}, classes {classes[:9].tolist()}")  # fmt: skip
    return dict(zip(classes.tolist(), rows.tolist(), strict=True))
