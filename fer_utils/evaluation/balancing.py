"""What the ways to counter the imbalance gave: recorded runs of one network that differ in nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fer_utils.data import CLASSES
from fer_utils.evaluation import _old_metrics as metrics
from fer_utils.evaluation.runs import Run, list_runs
from fer_utils.training.config import BALANCING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RARE", "TITLES", "answers", "changes", "compare", "recorded_ways", "scores"]

RARE = ("Disgust", "Fear")  # the rarest class, and the one that is missed most
WHOLE = {"accuracy": "accuracy", "macro-F1": "macro_f1", "balanced accuracy": "balanced_accuracy"}
TITLES = {
    "plain": "as it is", "under": "undersampling", "over": "oversampling", "hybrid_mean": "hybrid, to the mean",
    "hybrid_8989": "hybrid, to 8989", "class_weights": "class weights", "focal": "focal loss",
    "class_balanced": "class-balanced loss", "logit_adjustment": "logit adjustment",
}


def recorded_ways() -> dict[str, Run]:
    """The recorded runs of `recipes.BALANCING` by title, the network without any of them first."""
    there = set(list_runs())
    named = {name: f"mobilenet_v3_large_{name}" for name in BALANCING}
    return {TITLES[name]: Run(run) for name, run in named.items() if run in there}


def answers(run: Run, *, calibrated: bool) -> tuple[np.ndarray, np.ndarray]:
    """PrivateTest labels and the run's answers, int [N] each.

    calibrated : as the run was recorded, or as it was trained. Calibration gives every class the weight that it has
        on PublicTest, and so takes back a part of what balancing had done.
    """
    found = run.predictions if calibrated else run.uncalibrated
    return run.predictions["private_labels"].astype(int), found["private"].argmax(1)


def scores(labels: np.ndarray, predictions: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """accuracy, macro-F1, balanced accuracy and the recall of `RARE`: value, low and high (95 % bootstrap) of each."""
    matrix = metrics.confusion(labels, predictions)
    whole, recall = metrics.scores(matrix), metrics.per_class(matrix)["recall"]
    found = {
        title: (whole[name], *metrics.bootstrap(labels, predictions, name))
        for title, name in WHOLE.items()
    }
    for name in RARE:
        row = CLASSES.index(name)
        mine = labels == row
        # Among the rows of one class, recall is the share of right answers.
        interval = metrics.bootstrap(labels[mine], predictions[mine]) if mine.any() else (np.nan, np.nan)
        found[f"recall of {name}"] = (float(recall[row]), *interval)
    return found


def compare(ways: Mapping[str, Run], *, calibrated: bool = False) -> pd.DataFrame:
    """`scores` of each way, a row a way and score: way, score, value, low, high."""
    import pandas as pd

    rows = [
        (title, score, *numbers)
        for title, run in ways.items()
        for score, numbers in scores(*answers(run, calibrated=calibrated)).items()
    ]
    return pd.DataFrame(rows, columns=["way", "score", "value", "low", "high"])


def changes(ways: Mapping[str, Run], *, calibrated: bool = False) -> pd.DataFrame:
    """What each way changed against the first one, on the same rows, a row a way and score.

    way, score (accuracy, macro-F1, balanced accuracy), change, low, high (95 %, paired bootstrap).
    """
    import pandas as pd

    told = {title: answers(run, calibrated=calibrated) for title, run in ways.items()}
    (_, (labels, before)), *others = told.items()
    rows = [
        (title, score, *metrics.change(labels, before, after, name))
        for title, (_, after) in others
        for score, name in WHOLE.items()
    ]
    return pd.DataFrame(rows, columns=["way", "score", "change", "low", "high"])
