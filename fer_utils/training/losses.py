"""Losses against imbalance and label noise, on logits and soft labels.

Every loss takes `targets` float32 [N, 7] (rows sum to 1: one-hot, smoothed, mixed or blended with FER+ votes) and
`logits` float32 [N, 7] and returns one loss a row, float32 [N].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

__all__ = [
    "LOSSES",
    "class_balanced_weights",
    "class_weights",
    "distillation",
    "make",
]

LOSSES = ("cross_entropy", "class_weights", "focal", "class_balanced", "logit_adjustment")


def _counts(class_counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(class_counts, np.float64)
    if counts.ndim != 1 or not len(counts) or (counts <= 0).any():
        raise ValueError(f"class_counts: every class needs at least one row; got {np.asarray(class_counts).tolist()}")
    return counts


def class_weights(class_counts: np.ndarray) -> np.ndarray:
    """n / (classes × count) for each class, scikit-learn's "balanced" weights: float32 [classes], mean over rows 1."""
    counts = _counts(class_counts)
    return (counts.sum() / (len(counts) * counts)).astype(np.float32)


def class_balanced_weights(class_counts: np.ndarray, *, beta: float = 0.999) -> np.ndarray:
    """(1 − β) / (1 − βⁿ), scaled to a mean of 1 over classes (Cui et al. 2019): float32 [classes]."""
    if not 0 <= beta < 1:
        raise ValueError(f"beta: must lie in [0, 1); got {beta}")
    weights = (1 - beta) / (1 - beta ** _counts(class_counts))
    return (weights * len(weights) / weights.sum()).astype(np.float32)


def _weighted(weights: np.ndarray) -> Loss:
    def loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        row = tf.linalg.matvec(targets, tf.constant(weights))
        return row * tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    return loss


def _focal(gamma: float) -> Loss:
    def loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        log_p = tf.nn.log_softmax(logits)
        return -tf.reduce_sum(targets * (1 - tf.exp(log_p)) ** gamma * log_p, axis=-1)

    return loss


def _adjusted(prior: np.ndarray, tau: float) -> Loss:
    shift = (tau * np.log(prior)).astype(np.float32)

    def loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.nn.softmax_cross_entropy_with_logits(targets, logits + shift)

    return loss


def make(name: str, class_counts: np.ndarray, *, gamma: float = 2.0, beta: float = 0.999, tau: float = 1.0) -> Loss:
    """The loss called `name`.

    Parameters
    ----------
    name : one of `LOSSES`: cross_entropy; class_weights (inverse frequency); focal (Lin et al. 2017, `gamma`);
        class_balanced (Cui et al. 2019, `beta`); logit_adjustment (Menon et al. 2021, `tau`; the shift is added in
        training only, so the plain logits of the trained network are the adjusted ones).
    class_counts : int [classes], training rows of each class.

    Raises
    ------
    ValueError for an unknown name or a class without rows.
    """
    counts = _counts(class_counts)
    if name == "cross_entropy":
        return _weighted(np.ones(len(counts), np.float32))
    if name == "class_weights":
        return _weighted(class_weights(counts))
    if name == "class_balanced":
        return _weighted(class_balanced_weights(counts, beta=beta))
    if name == "focal":
        return _focal(gamma)
    if name == "logit_adjustment":
        return _adjusted(counts / counts.sum(), tau)
    raise ValueError(f"name: must be one of {', '.join(LOSSES)}; got {name!r}")


def distillation(
    targets: tf.Tensor, logits: tf.Tensor, teacher_logits: tf.Tensor, *, weight: float = 0.7, temperature: float = 2.0
) -> tf.Tensor:
    """(1 − weight) · CE(labels) + weight · T² · KL(teacher ‖ student), float32 [N] (Hinton et al. 2015)."""
    import tensorflow as tf

    hard = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    teacher = tf.nn.softmax(teacher_logits / temperature)
    student = tf.nn.log_softmax(logits / temperature)
    divergence = tf.reduce_sum(teacher * (tf.nn.log_softmax(teacher_logits / temperature) - student), axis=-1)
    return (1 - weight) * hard + weight * temperature**2 * divergence
