"""Tables of models that were tested on the same images: paired tests, class by class, scores, corrupted images.

Examples
--------
>>> before, after = (Run(name).predictions["private"].argmax(1) for name in ("xception", "xception_aligned"))
>>> compare.class_changes(Run("xception").predictions["private_labels"], before, after)
"""

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from fer_utils.data import CLASSES
from fer_utils.evaluation import metrics
from fer_utils.evaluation.runs import Run

# Title → statistic, and the class that it is about: the rarest one, and the one that is missed most.
SCORES = {"accuracy": ("accuracy", ...), "macro-F1": ("macro_f1", ...), "balanced accuracy": ("balanced_accuracy", ...),
          **{f"recall of {name}": ("class_recall", CLASSES.index(name)) for name in ("Disgust", "Fear")}}


def paired_tests(pairs: Mapping[Hashable, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Accuracy of pairs of models on the same images, with McNemar's tests corrected for their number.

    `pairs`: title → labels, predictions before, predictions after, int [N] each; a pair without a sample is left out.
    Returns n, before, after, difference with its 95 % interval low and high, p_value, and p_holm, corrected over all.
    """
    rows = {}
    for title, (labels, before, after) in pairs.items():
        if len(labels):
            accuracy = {"before": np.mean(before == labels), "after": np.mean(after == labels)}
            rows[title] = accuracy | metrics.mcnemar(labels, before, after)
    columns = ["n", "before", "after", "difference", "low", "high", "p_value"]
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    return table.assign(p_holm=metrics.holm(table["p_value"]))


def class_changes(labels: np.ndarray, before: np.ndarray, after: np.ndarray, *, score: str = "f1") -> pd.DataFrame:
    """Each class's f1, precision or recall: n, before, after, change, and its paired 95 % interval low and high."""
    change = metrics.paired_bootstrap_difference(labels, before, after, f"class_{score}")
    first, second = (metrics.per_class(labels, predictions) for predictions in (before, after))
    table = pd.DataFrame({"n": first.n, "before": first[score], "after": second[score]})
    return table.join(pd.DataFrame(change.T, table.index, ["change", "low", "high"]))


def scores(runs: Mapping[str, Run], *, calibrated: bool = True) -> pd.DataFrame:
    """`SCORES` of runs on PrivateTest with 95 % intervals, and their paired differences to the first run.

    Calibration gives each class its weight on PublicTest, and so takes back a part of what rebalancing had done:
    `calibrated=False` scores the probabilities before it.
    """
    labels = next(iter(runs.values())).predictions["private_labels"]
    predictions = {title: (run.predictions if calibrated else run.uncalibrated)["private"].argmax(1)
                   for title, run in runs.items()}
    rows, baseline = [], next(iter(predictions.values()))
    for title, found in predictions.items():
        for score, (name, place) in SCORES.items():
            value = metrics._statistic(metrics.confusion(labels, found), name)[place]
            interval = metrics.bootstrap(labels, found, name)[:, place]
            difference = metrics.paired_bootstrap_difference(labels, baseline, found, name)[:, place]
            rows.append([title, score, *map(float, (value, *interval, *difference))])
    columns = ["method", "score", "value", "low", "high", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=columns)


def robustness_changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Two models on the same corrupted images (`read_robustness`): corruption, severity, setting, `paired_tests`."""
    keys, labels = ["corruption", "severity", "setting"], np.asarray(before.attrs["labels"])
    if not before[keys].equals(after[keys]) or not np.array_equal(labels, after.attrs["labels"]):
        raise ValueError("after: must be recorded on the same corrupted images as before; got others")
    both = zip(before["predictions"], after["predictions"], strict=True)
    return before[keys].join(paired_tests({row: (labels, *pair) for row, pair in enumerate(both)}))
