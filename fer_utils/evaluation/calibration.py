"""Calibration after training: seven biases and a temperature, fitted on PublicTest and folded into the last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Calibration:
    """What is done to logits float [N, 7]: (logits + bias) / temperature. Call it with them.

    A bias for each class corrects the prior that the network learned, one temperature its confidence (bias-only vector
    scaling, Guo et al. 2017; for long-tailed classes Menon et al. 2021). Convex, with eight numbers to fit.

    Examples
    --------
    >>> calibration = Calibration.fit(public.labels, public_logits)
    >>> probabilities = scipy.special.softmax(calibration(private_logits), axis=1)
    """

    temperature: float  # above 0; above 1 where the network was too sure
    bias: list[float]  # seven, their sum 0

    @classmethod
    def fit(cls, labels: np.ndarray, logits: np.ndarray) -> Calibration:
        """The lowest cross-entropy of PublicTest's logits float [N, 7] and labels int [N], at least one.

        A class without a sample keeps its logit.
        """
        labels, logits = np.asarray(labels), np.asarray(logits, np.float64)
        if not len(labels) or len(labels) != len(logits):
            raise ValueError(f"labels: must be as many as logits, at least 1; got {len(labels)} and {len(logits)}")
        classes, rows = logits.shape[1], np.arange(len(labels))
        present = np.bincount(labels, minlength=classes) > 0

        def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
            """Mean cross-entropy of scale · logits + biases, and its gradient."""
            p = softmax(numbers[0] * logits + numbers[1:], axis=1)
            error = p - np.eye(classes)[labels]
            gradient = np.concatenate([[(error * logits).sum()], error.sum(0)]) / len(labels)
            return -float(np.log(p[rows, labels] + 1e-300).mean()), gradient

        bounds = [(0.05, 20.0)] + [(-20.0, 20.0) if there else (0.0, 0.0) for there in present]
        found = minimize(loss, [1.0] + [0.0] * classes, jac=True, method="L-BFGS-B", bounds=bounds).x
        bias = found[1:] / found[0]
        return cls(float(1 / found[0]), np.where(present, bias - bias[present].mean(), 0.0).tolist())

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated logits."""
        return (logits + np.asarray(self.bias)) / self.temperature

    def inverse(self, logits: np.ndarray) -> np.ndarray:
        """The uncalibrated logits of calibrated ones."""
        return logits * self.temperature - np.asarray(self.bias)

    def fold_into_head(self, model: keras.Model) -> None:
        """Change the layer `logits` of a model in place, so that it returns calibrated logits."""
        head = model.get_layer("logits")
        kernel, bias = head.get_weights()
        head.set_weights([kernel / self.temperature, self(bias[None])[0]])
