"""Losses against class imbalance: Keras' own where they exist, class weights, logit adjustment."""

import keras
import numpy as np

from fer_utils.training.config import LOSSES


def _counts(class_counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(class_counts, np.float64)
    if counts.ndim != 1 or not len(counts) or (counts <= 0).any():
        raise ValueError(f"class_counts: every class needs at least one image; got {np.asarray(class_counts).tolist()}")
    return counts


def class_weights(class_counts: np.ndarray) -> np.ndarray:
    """Inverse-frequency weights, scikit-learn's "balanced": float32 [classes], their mean over images is 1.

    `class_counts`: float [classes], training images of each class; ValueError unless all are above 0.

    Examples
    --------
    >>> class_weights([3, 1]).round(2).tolist()
    [0.67, 2.0]
    """
    counts = _counts(class_counts)
    return (counts.sum() / (len(counts) * counts)).astype(np.float32)


def class_balanced_weights(class_counts: np.ndarray, *, beta: float = 0.999) -> np.ndarray:
    """Weights by the effective number of images, (1 − β) / (1 − βⁿ): float32 [classes], mean 1 (Cui et al. 2019).

    `class_counts`: as for `class_weights`. `beta`: 0 (no weighting) to just below 1 (inverse frequency), else
    ValueError.

    Examples
    --------
    >>> class_balanced_weights([30, 10], beta=0.9).round(2).tolist()
    [0.81, 1.19]
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta: must lie in [0, 1); got {beta}")
    weights = (1 - beta) / (1 - beta ** _counts(class_counts))
    return (weights * len(weights) / weights.sum()).astype(np.float32)


class LogitAdjustment(keras.losses.Loss):
    """Cross-entropy of logits + τ log(prior): the plain logits then fit balanced classes (Menon et al. 2021)."""

    def __init__(self, class_counts: np.ndarray, tau: float = 1.0) -> None:
        super().__init__(name="logit_adjustment")
        counts = _counts(class_counts)
        self.shift = (tau * np.log(counts / counts.sum())).astype(np.float32)

    def call(self, targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        """One loss an image, float32 [N]."""
        return keras.losses.categorical_crossentropy(targets, logits + self.shift, from_logits=True)


def make_loss(name: str, class_counts: np.ndarray) -> tuple[keras.losses.Loss, np.ndarray | None]:
    """The Keras loss for `TrainConfig.loss`, and class weights float32 [classes] if it is made by weighting images."""
    if name not in LOSSES:
        raise ValueError(f"name: must be one of {', '.join(LOSSES)}; got {name!r}")
    if name == "focal":  # Lin et al. 2017
        return keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True), None
    if name == "logit_adjustment":
        return LogitAdjustment(class_counts), None
    weighting = {"class_weights": class_weights, "class_balanced": class_balanced_weights}.get(name)
    return keras.losses.CategoricalCrossentropy(from_logits=True), weighting(class_counts) if weighting else None
