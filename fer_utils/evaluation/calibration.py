"""After training: seven biases and a temperature, fitted on PublicTest and folded into the last layer.

Training sees labels blended with FER+ votes, and many more Happy faces than disgusted ones; what it learns to expect of
each class is not what FER2013's own labels say. A bias a class corrects that, and one temperature makes the confidence
fit (bias-only vector scaling, Guo et al. 2017; for long-tailed classes see also Menon et al. 2021). Eight numbers,
found by cross-entropy, a convex problem: there is no threshold to tune and hardly anything to overfit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.evaluation import metrics

if TYPE_CHECKING:
    import keras

__all__ = ["Calibration", "choose", "fold"]


@dataclass(frozen=True)
class Calibration:
    """What is done to the logits: (logits + bias) / temperature. The biases add up to 0."""

    temperature: float
    bias: tuple[float, ...]

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated logits, float [N, 7]."""
        return (logits + np.asarray(self.bias)) / self.temperature

    def undo(self, logits: np.ndarray) -> np.ndarray:
        """The logits as the network learned them."""
        return logits * self.temperature - np.asarray(self.bias)


def choose(labels: np.ndarray, logits: np.ndarray) -> Calibration:
    """The calibration with the lowest cross-entropy on these rows; a class without a row among them keeps its logit.

    Parameters
    ----------
    labels : int [N], 0–6. logits : float [N, 7]. Both of PublicTest: neither training nor PrivateTest rows.

    Raises
    ------
    ValueError without rows, or when labels and logits differ in number.
    """
    from scipy.optimize import minimize

    labels, logits = np.asarray(labels), np.asarray(logits, np.float64)
    classes, rows = logits.shape[-1], np.arange(len(labels))
    if not len(labels) or len(labels) != len(logits):
        raise ValueError(f"labels, logits: need the same number of rows, at least 1; got {len(labels)}, {len(logits)}")
    present = np.bincount(labels, minlength=classes) > 0

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean cross-entropy of scale · logits + biases, and its gradient."""
        scale, offsets = numbers[0], numbers[1:]
        p = metrics.softmax(scale * logits + offsets)
        error = p.copy()
        error[rows, labels] -= 1
        gradient = np.concatenate([[(error * logits).sum()], error.sum(0)]) / len(labels)
        return -float(np.log(p[rows, labels] + 1e-300).mean()), gradient

    bounds = [(0.05, 20.0)] + [(-20.0, 20.0) if there else (0.0, 0.0) for there in present]
    found = minimize(loss, [1.0] + [0.0] * classes, jac=True, method="L-BFGS-B", bounds=bounds).x
    bias = found[1:] / found[0]
    return Calibration(float(1 / found[0]), tuple(np.where(present, bias - bias[present].mean(), 0.0).tolist()))


def fold(calibration: Calibration, model: keras.Model) -> None:
    """Change the layer `logits` of a network in place, so that it gives calibrated logits."""
    head = model.get_layer("logits")
    kernel, bias = head.get_weights()
    head.set_weights([kernel / calibration.temperature, calibration(bias[None])[0]])
