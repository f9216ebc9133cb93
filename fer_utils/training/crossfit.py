"""Answers to training faces by networks that have not learned them (cross-fitting, Chernozhukov et al. 2018).

A network asked about its own training faces repeats their labels, wrong ones too (model card). So the training images
are dealt into two halves, a network is trained on each (`Config.half`), and judges the other half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fer_utils import data
from fer_utils.evaluation.runs import Run

if TYPE_CHECKING:
    from fer_utils.data import Fer2013

__all__ = ["halves", "other_half", "unseen_answers"]


def halves(images: np.ndarray) -> np.ndarray:
    """int [N], 0 or 1: the half that each image uint8 [N, 48, 48] belongs to; equal images share theirs."""
    return (data.image_hashes(images) % np.uint64(2)).astype(int)


def other_half(fer: Fer2013, half: int) -> Fer2013:
    """The training rows that a network trained on `half` has not seen, in file order."""
    rows = data.training_indices(fer)
    return fer.take(rows[halves(fer.images[rows]) != half])


def unseen_answers(names: Sequence[str], images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log probabilities float32 [N, 7] for all training rows, each from the run that was not trained on it.

    Parameters
    ----------
    names : two recorded runs, one trained on each half of these very rows.
    images, labels : uint8 [N, 48, 48] and int [N] of the training rows (`data.training_indices`).

    Raises
    ------
    ValueError where the runs are not one of each half, or have judged other rows.
    """
    runs = {run.config.get("half"): run for run in map(Run, names)}
    if len(names) != 2 or set(runs) != {0, 1}:
        raise ValueError(f"names: must be two runs, of halves 0 and 1; got {', '.join(names)} of {[*runs]}")
    half = halves(images)
    answers = np.zeros((len(images), 7), np.float32)
    for trained_on, run in runs.items():
        judged, told = half != trained_on, run.predictions
        if not np.array_equal(told["unseen_labels"], labels[judged]):
            raise ValueError(f"names: {run.name} has judged other rows than the {judged.sum()} of the other half here")
        answers[judged] = np.log(np.maximum(told["unseen"], 1e-6))
    return answers
