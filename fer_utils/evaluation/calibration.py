"""Calibration after training: seven biases and a temperature, fitted on PublicTest and folded into the last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.evaluation.metrics import softmax

if TYPE_CHECKING:
    import keras

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """What is done to logits float [N, 7]: (logits + bias) / temperature. Call it with them.

    Training sees soft labels and far more Happy faces than Disgust: a bias for each class corrects the prior that the
    network learned, one temperature its confidence (bias-only vector scaling, Guo et al. 2017; for long-tailed classes
    Menon et al. 2021). Eight numbers and a convex problem: there is hardly anything to overfit.

    Parameters
    ----------
    temperature : float, above 0; above 1 where the network was too sure.
    bias : seven floats, the sum 0.

    Examples
    --------
    >>> calibration = Calibration.fit(public.labels, public_logits)
    >>> probabilities = softmax(calibration(private_logits))
    """

    temperature: float
    bias: list[float]

    @classmethod
    def fit(cls, labels: np.ndarray, logits: np.ndarray) -> Calibration:
        """The calibration with the lowest cross-entropy; a class without a sample keeps its logit.

        Parameters
        ----------
        labels : int [N], classes 0–6 of PublicTest: neither trained on nor reported.
        logits : float [N, 7].

        Raises
        ------
        ValueError
            Without samples, or when labels and logits differ in number.
        """
        from scipy.optimize import minimize

        labels, logits = np.asarray(labels), np.asarray(logits, np.float64)
        if not len(labels) or len(labels) != len(logits):
            raise ValueError(f"labels: must be as many as logits, at least 1; got {len(labels)} and {len(logits)}")
        classes, rows = logits.shape[1], np.arange(len(labels))
        present = np.bincount(labels, minlength=classes) > 0

        def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
            """Mean cross-entropy of scale · logits + biases, and its gradient."""
            p = softmax(numbers[0] * logits + numbers[1:])
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
