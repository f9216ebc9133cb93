"""After training: how much the class frequencies of the training rows should count, and how sure the network may sound.

Two numbers are chosen on PublicTest and folded into the last layer, so that every exported file answers with them:

- `shift` (τ): τ · log(frequency) is taken off each class's logit (Menon et al. 2021, post hoc). Cross-entropy teaches a
  network to prefer frequent classes; τ = 1 would take the whole preference away, at the cost of accuracy.
- `temperature`: the logits are divided by it (Guo et al. 2017). It changes no decision, only the probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import metrics

if TYPE_CHECKING:
    import keras

__all__ = ["Calibration", "choose", "fold"]

SHIFTS = tuple(round(0.05 * step, 2) for step in range(21))  # 0 … 1


@dataclass(frozen=True)
class Calibration:
    """What is done to the logits: (logits − shift · log(frequency)) / temperature."""

    shift: float
    temperature: float
    frequency: tuple[float, ...]  # of the classes among the training rows, adds up to 1

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated logits, float [N, 7]."""
        return (logits - self.shift * np.log(self.frequency)) / self.temperature

    def undo(self, logits: np.ndarray) -> np.ndarray:
        """The logits as the network learned them."""
        return logits * self.temperature + self.shift * np.log(self.frequency)


def choose(labels: np.ndarray, logits: np.ndarray, counts: np.ndarray) -> Calibration:
    """The calibration that suits these rows best.

    Parameters
    ----------
    labels : int [N], 0–6. logits : float [N, 7]. Both of PublicTest: neither training nor PrivateTest rows.
    counts : float [7], training rows (or the sums of their soft labels) of each class.

    Returns
    -------
    The shift with the highest mean of accuracy and macro-F1 (the smallest of equals), and with it the temperature of
    the lowest cross-entropy.

    Raises
    ------
    ValueError without rows or with a class that no training row has.
    """
    counts = np.asarray(counts, np.float64)
    if not len(labels) or len(labels) != len(logits):
        raise ValueError(f"labels, logits: need the same number of rows, at least 1; got {len(labels)}, {len(logits)}")
    if (counts <= 0).any():
        raise ValueError(f"counts: every class needs training rows; got {counts.tolist()}")
    frequency = tuple((counts / counts.sum()).tolist())

    def quality(shift: float) -> float:
        shifted = Calibration(shift, 1.0, frequency)(logits)
        found = metrics.scores(metrics.confusion(labels, shifted.argmax(1)))
        return round(found["accuracy"] + found["macro_f1"], 9)

    shift = max(SHIFTS, key=lambda value: (quality(value), -value))
    temperature = metrics.fit_temperature(labels, Calibration(shift, 1.0, frequency)(logits))
    return Calibration(shift, temperature, frequency)


def fold(calibration: Calibration, model: keras.Model) -> None:
    """Change the layer `logits` of a network in place, so that it gives calibrated logits."""
    head = model.get_layer("logits")
    kernel, bias = head.get_weights()
    head.set_weights([kernel / calibration.temperature, calibration(bias[None])[0]])
