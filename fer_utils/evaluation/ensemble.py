"""Several recorded runs together: the mean of their probabilities, in equal shares or in those that suit PublicTest.

No network is asked again: everything comes from the probabilities that the runs left behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_utils.evaluation import robustness as evaluation
from fer_utils.evaluation.runs import Run

__all__ = ["cross_validated", "fit_shares", "public_log_loss", "shares", "together"]

ROUNDS = 2000  # of expectation-maximization; it gains less than 1e-6 of log loss in the last half of them


def _likely(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What each network gave to the right class: float64 [networks, N], never 0."""
    told = np.asarray(probabilities, np.float64)
    if told.ndim != 3 or not told.size or told.shape[1] != len(labels):
        raise ValueError(
            "probabilities: must be [networks, N, classes] with an answer for each of the "
            f"{len(labels)} labels; got {list(told.shape)}"
        )
    return np.maximum(told[:, np.arange(len(labels)), labels], 1e-12)


def _fit(likely: np.ndarray) -> np.ndarray:
    found = np.full(len(likely), 1 / len(likely))
    for _ in range(ROUNDS):
        parts = found[:, None] * likely
        found = (parts / parts.sum(0)).mean(1)
    return found


def fit_shares(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Shares of a mean of probabilities under which the labels are most likely: float64 [networks], their sum 1.

    The shares of a mixture whose parts are fixed, by expectation-maximization: there is one best answer, and every
    round comes nearer to it (stacking of densities, Smyth and Wolpert 1999).

    Parameters
    ----------
    probabilities : float [networks, N, classes]. labels : int [N]; rows that none of the networks was fitted on.

    Raises
    ------
    ValueError for another shape.
    """
    return _fit(_likely(probabilities, labels))


def cross_validated(probabilities: np.ndarray, labels: np.ndarray, *, folds: int = 10, seed: int = 2013) -> float:
    """Log loss of a mean whose shares were fitted without the rows that it is scored on, in nats a row.

    Parameters are those of `fit_shares`; the rows are dealt into `folds` parts by `seed`.
    """
    likely = _likely(probabilities, labels)
    part = np.random.default_rng(seed).permutation(len(labels)) % folds
    given = np.zeros(len(labels))
    for fold in range(folds):
        left_out = part == fold
        given[left_out] = _fit(likely[:, ~left_out]) @ likely[:, left_out]
    return -float(np.log(given).mean())


def shares(names: Sequence[str]) -> np.ndarray:
    """`fit_shares` of recorded runs, on what they said of PublicTest: float64 [runs], in the order of the names.

    Raises
    ------
    ValueError for no run, or for runs that judged different rows.
    """
    return fit_shares(*_public(names))


def public_log_loss(names: Sequence[str]) -> dict[str, float]:
    """Log loss on PublicTest, nats a row: of the best run alone (`alone`), of the mean in equal shares (`equal`) and
    in fitted ones, on rows that they were not fitted on (`fitted`, `cross_validated`).

    Each run was calibrated on these rows itself, so all three look a little better than they are.
    """
    probabilities, labels = _public(names)
    likely = _likely(probabilities, labels)
    return {
        "alone": float((-np.log(likely)).mean(1).min()),
        "equal": float(-np.log(likely.mean(0)).mean()),
        "fitted": cross_validated(probabilities, labels),
    }


def _public(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """What the runs said of PublicTest, float32 [runs, N, 7], and its labels, int [N]."""
    recorded = _alike(names)
    told = np.stack([run.predictions["public"] for run in recorded])
    return told, recorded[0].predictions["public_labels"].astype(int)


def together(names: Sequence[str], *, augmented: bool = False, shares: Sequence[float] | None = None) -> np.ndarray:
    """Mean probabilities of recorded runs on PrivateTest, float32 [N, 7] in row order.

    Parameters
    ----------
    augmented : the mean over twelve views of each face (`evaluation.record_views`) instead of one answer of each run.
    shares : each run's share in the mean, in the order of the names, their sum 1; default equal ones.

    Raises
    ------
    ValueError for no run, for runs that judged different rows, or for shares that are not one a run, 0 or more, with
    the sum 1; FileNotFoundError when something is not recorded.
    """
    recorded = _alike(names)
    shares = np.full(len(names), 1 / len(names)) if shares is None else np.asarray(shares, np.float64)
    if shares.shape != (len(names),) or (shares < 0).any() or not np.isclose(shares.sum(), 1):
        raise ValueError(f"shares: must be {len(names)} numbers of 0 or more with the sum 1; got {shares.tolist()}")
    answers = evaluation.read_views if augmented else lambda name: Run(name).predictions
    parts = [answers(run.name)["private"] for run in recorded]
    return np.tensordot(shares, np.asarray(parts, np.float64), 1).astype(np.float32)


def _alike(names: Sequence[str]) -> list[Run]:
    recorded = [Run(name) for name in names]
    if not recorded:
        raise ValueError("names: must name at least one recorded run; got none")
    for split in ("public_labels", "private_labels"):
        labels = [run.predictions[split] for run in recorded]
        if any(not np.array_equal(labels[0], other) for other in labels):
            raise ValueError(f"names: must have judged the same test rows; got {', '.join(names)}")
    return recorded
