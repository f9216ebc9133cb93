"""Under-, over- and hybrid sampling of an imbalanced data set, as row indices.

The samplers touch no pixel: they take labels and return positions in them, so one call serves any array in the same
order. The draws themselves are imbalanced-learn's (Lemaître et al. 2017), which refuses images (imbalanced-learn issue
966); it is therefore given a column of row numbers and asked for ``sample_indices_``.

Resample after the split, and training rows only. :func:`resample_before_split` does it the wrong way round, for one purpose: to
measure how much that order flatters a model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["HYBRID_TARGET", "METHODS", "naive_split", "resample", "targets"]

METHODS = ("under", "over", "hybrid")
# The number that FER2013 notebooks pass around: Happy, counted over all three splits together (see notebook 02).
HYBRID_TARGET = 8989


def targets(labels: np.ndarray, method: str, *, target: int | Mapping[int, int] | None = None) -> dict[int, int]:
    """How many rows each class has after :func:`resample`, without drawing them.

    Args:
        labels: int[N], classes 0, 1, … of the rows.
        method: ``"under"`` (rows are left out), ``"over"`` (rows are repeated) or ``"hybrid"`` (large classes are cut,
            small ones repeated).
        target: rows a class: one number for all, or a mapping class → rows (classes it leaves out keep theirs). By
            default the smallest class (under), the largest (over), or 8,989 (hybrid).

    Returns:
        class → rows, for every class that occurs in ``labels``.

    Raises:
        ValueError: an unknown method, no labels, a label below 0, fewer than two classes, a target below 1, for a class
            that does not occur, above the class's rows (under) or below them (over).
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; received {method!r}")
    counts = _counts(labels)
    if target is None:
        target = {"under": min(counts.values()), "over": max(counts.values()), "hybrid": HYBRID_TARGET}[method]
    wanted = dict(target) if isinstance(target, Mapping) else dict.fromkeys(counts, target)
    for label, rows in wanted.items():
        _check_target(method, label, rows, counts)
    return counts | {int(label): int(rows) for label, rows in wanted.items()}


def resample(
    labels: np.ndarray, method: str, *, target: int | Mapping[int, int] | None = None, seed: int = 2013
) -> np.ndarray:
    """Draw rows so that each class has its target number of them.

    Over-sampling keeps every row at least once and repeats some; under-sampling repeats none. A hybrid draw cuts the
    classes above the target and repeats rows of those below. Arguments and errors are those of :func:`targets`;
    ``seed`` fixes the draw.

    Returns:
        int64[M] positions in ``labels``, ascending (shuffle before training; Keras does). Use as
        ``images[rows[indices]]`` when ``labels`` were ``all_labels[rows]``.
    """
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    wanted = targets(labels, method, target=target)
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
    labels: np.ndarray,
    method: str,
    *,
    target: int | Mapping[int, int] | None = None,
    test_share: float = 0.1,
    seed: int = 2013,
) -> tuple[np.ndarray, np.ndarray]:
    """The wrong order, to be measured and never trained on: resample all rows, then split them at random.

    Copies of one row land on both sides, so the test part holds images that the model has learnt by heart.

    Args:
        labels, method, target, seed: as in :func:`resample`.
        test_share: part of the resampled rows that is held out, above 0 and below 1, the same in each class.

    Returns:
        ``train`` int64[A] and ``test`` int64[B], positions in ``labels``; a position may occur in both, and often.

    Raises:
        ValueError: as :func:`targets`, or a ``test_share`` out of range.
    """
    from sklearn.model_selection import train_test_split

    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be above 0 and below 1; received {test_share!r}")
    indices = resample(labels, method, target=target, seed=seed)
    drawn = np.asarray(labels)[indices]
    train, test = train_test_split(indices, test_size=test_share, stratify=drawn, random_state=seed)
    return train, test


def _counts(labels: np.ndarray) -> dict[int, int]:
    """class → rows, after the checks that every sampler needs."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels must be a list of at least two classes' labels; received shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be whole numbers; received dtype {labels.dtype}")
    if labels.min() < 0:
        raise ValueError(
            f"labels must be 0 or more; received {int(labels.min())} (-1 marks a row without a label: drop those rows "
            "first)"
        )
    classes, rows = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"labels must hold at least two classes; received only class {int(classes[0])}")
    return dict(zip(classes.tolist(), rows.tolist(), strict=True))


def _check_target(method: str, label: int, rows: int, counts: dict[int, int]) -> None:
    """Raise ValueError where ``method`` cannot bring class ``label`` to ``rows`` rows."""
    if label not in counts:
        raise ValueError(f"target names class {label!r}, which does not occur; classes are {sorted(counts)}")
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
        raise ValueError(f"target must be a whole number of at least 1 row; received {rows!r}")
    if method == "under" and rows > counts[label]:
        raise ValueError(
            f"target must be at most the {counts[label]} rows of class {label} when method is 'under' (it only leaves "
            f"rows out); received {rows}. Use 'hybrid' or a smaller target"
        )
    if method == "over" and rows < counts[label]:
        raise ValueError(
            f"target must be at least the {counts[label]} rows of class {label} when method is 'over' (it only repeats "
            f"rows); received {rows}. Use 'hybrid' or a larger target"
        )
